//! The cookies of one session with one portal.

/// More than any portal sets; beyond it somebody plays with us.
const MOST: usize = 64;
const LONGEST: usize = 8 << 10;

/// Cookies by name. All go back to the host that set them, the only one that is ever asked, so
/// domains and paths need not be kept.
#[derive(Default)]
pub(super) struct Jar {
    cookies: Vec<(String, String)>,
}

impl Jar {
    /// Takes a `Set-Cookie` header in; one that is over, or empty, removes what it names.
    pub(super) fn take(&mut self, header: &str) {
        let mut parts = header.split(';');
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
        let over = parts.any(|attribute| attribute.trim().eq_ignore_ascii_case("max-age=0"));
        self.set(name.trim(), if over { "" } else { value.trim() });
    }

    /// Sets a cookie, or removes it by an empty value.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.cookies.retain(|(known, _)| known != name);
        if !value.is_empty() && name.len() + value.len() <= LONGEST && self.cookies.len() < MOST {
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.cookies.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The `Cookie` header, if there is anything to say.
    pub(super) fn header(&self) -> Option<String> {
        let pairs: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_kept_replaced_and_removed() {
        let mut jar = Jar::default();
        assert_eq!(jar.header(), None);
        for header in
            ["a=1; Path=/; HttpOnly", "b=x=y", "a=2", "c=3", "c=; Path=/", "d=4", "d=5; Max-Age=0", "e"]
        {
            jar.take(header);
        }
        assert_eq!(jar.header().as_deref(), Some("b=x=y; a=2"));
        assert_eq!(jar.get("a"), Some("2"));
    }

    #[test]
    fn a_portal_cannot_fill_the_memory_with_cookies() {
        let mut jar = Jar::default();
        jar.take(&format!("long={}", "x".repeat(LONGEST)));
        (0..1000).for_each(|n| jar.take(&format!("n{n}=1")));
        assert_eq!((jar.get("long"), jar.cookies.len()), (None, MOST));
    }
}
