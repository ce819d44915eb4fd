//! The pages of the fake REGTECH.

use super::data::Row;
use std::fmt::Write as _;

/// The login page: blank lines first, and a hidden popup that talks of text messages.
pub(crate) fn login() -> String {
    let filler = "<!-- 금융보안원 레그테크 포털 -->\n".repeat(50);
    format!(
        "\n\n\n<!DOCTYPE html>\n<html lang=\"ko\"><head><title>레그테크</title>{filler}</head><body>\
         <div class=\"popup\" style=\"display:none\">SMS 인증번호를 입력하세요 <input name=\"smsNumber\"></div>\
         <form id=\"loginForm\" action=\"/login/addLogin\" method=\"post\">\
         <input name=\"memberId\"><input type=\"password\" name=\"memberPw\"></form>\
         <script>$.post('/member/findOneMember', form)</script></body></html>"
    )
}

/// What is shown after a login.
pub(crate) fn main_page() -> String {
    "<!DOCTYPE html><html><body><a href=\"/login/logout\">로그아웃</a></body></html>".to_owned()
}

/// A page that has nothing to do with the list.
pub(crate) fn without_table() -> String {
    "<!DOCTYPE html><html><body><h1>잠시 후 다시 시도해 주세요</h1></body></html>".to_owned()
}

/// The list's page with these rows, of so many.
pub(crate) fn list(rows: &[Row], total: usize) -> String {
    let mut lines = String::new();
    for (n, row) in (0..).zip(rows) {
        let released = row.released.map(|day| day.to_string()).unwrap_or_default();
        let reason = row.reason.replace('&', "&amp;").replace('<', "&lt;");
        let _ = write!(
            lines,
            "<tr>\n<td>{}</td>\n<td>{}</td>\n<td class=\"left\"><a href=\"javascript:goView('{}','blacklist')\">\n  {reason}\n</a></td>\n\
             <td>{}</td>\n<td>{released}</td>\n<td>{n}</td>\n</tr>",
            row.ip, row.country, row.uuid, row.listed
        );
    }
    if rows.is_empty() {
        lines.push_str("<tr><td colspan=\"6\">등록된 데이터가 없습니다.</td></tr>");
    }
    let columns = ["IP", "국가", "등록사유", "등록일", "해제일", "조회수"];
    let names: String = columns.iter().map(|name| format!("<th scope=\"col\">{name}</th>")).collect();
    format!(
        "<!DOCTYPE html><html><body><a href=\"/login/logout\">로그아웃</a>\
         <span class=\"total_num\">총 <em> {} </em> 건</span>\
         <table class=\"board\"><caption>요주의 IP 목록</caption><thead><tr>{names}</tr></thead>\
         <tbody>{lines}</tbody></table></body></html>",
        grouped(total)
    )
}

/// `130144` as `130,144`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
