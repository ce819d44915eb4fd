//! What is told of others' words, in faults and steps: no query and no account of a URL, where keys are
//! kept, and not more than a person reads. Pure.

/// Characters of a text that are told; a portal's message may be a whole page.
const MOST: usize = 1_000;
/// Where a URL ends in a text.
const ENDS: [char; 6] = ['"', '\'', '`', '<', '>', '\\'];

/// The text as it may be told.
pub(super) fn told(text: &str) -> String {
    let is_end = |letter: char| letter.is_whitespace() || ENDS.contains(&letter);
    let mut told = String::with_capacity(text.len().min(MOST));
    for piece in text.split_inclusive(is_end) {
        let word = piece.trim_end_matches(is_end);
        tell(&mut told, word);
        told.push_str(&piece[word.len()..]);
    }
    match told.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &told[..end]),
        None => told,
    }
}

/// Adds a word: of a URL, or of what may be the rest of one, only where it leads.
fn tell(told: &mut String, word: &str) {
    let Some(slash) = word.find('/') else { return told.push_str(word) };
    let end = word[slash..].find(['?', '#']).map_or(word.len(), |at| slash + at);
    let (place, query) = word.split_at(end);
    let host = place.find("://").map_or(0, |at| at + 3);
    let path = place[host..].find('/').map_or(place.len(), |at| host + at);
    match place[host..path].rfind('@') {
        Some(account) if host > 0 => {
            told.push_str(&place[..host]);
            told.push_str("***");
            told.push_str(&place[host + account..]);
        }
        _ => told.push_str(place),
    }
    told.push_str(if query.len() > 1 { "?…" } else { query });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_url_leads_is_told_and_its_query_and_account_are_not() {
        for (text, wanted) in [
            ("no list at https://a.example/x?key=k&b=1, says it", "no list at https://a.example/x?… says it"),
            ("\"http://a/?k\" and 'http://b/#f=1'", "\"http://a/?…\" and 'http://b/?…'"),
            ("leads to /login?token=t", "leads to /login?…"),
            ("https://me:secret@a.example/x: refused", "https://***@a.example/x: refused"),
            ("is it on/off? yes", "is it on/off? yes"),
            ("비밀번호를 변경하세요.", "비밀번호를 변경하세요."),
            ("", ""),
        ] {
            assert_eq!(told(text), wanted);
        }
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let text = told(&"번".repeat(MOST + 1));
        assert_eq!((text.chars().count(), text.ends_with('…')), (MOST + 1, true));
        assert_eq!(told(&"a".repeat(MOST)).len(), MOST);
    }
}
