const field = document.getElementById("search");
field.hidden = false;
field.addEventListener("input", () => {
  const words = field.value.toLowerCase().split(/\s+/);
  for (const one of document.querySelectorAll("details[id]")) {
    const text = one.querySelector("summary").textContent.toLowerCase();
    one.hidden = !words.every((word) => text.includes(word));
  }
});
const open = () => {
  const one = document.getElementById(location.hash.slice(1));
  if (one) one.open = true;
};
addEventListener("hashchange", open);
open();
