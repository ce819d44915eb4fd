//! A script for RouterOS that changes a list without a moment at which nothing is blocked.

use super::page::Page;
use super::sheet::Sheet;
use crate::model::Families;
use std::io;

/// Fills the list `NAME:new`, clears `NAME`, and gives the new entries its name. The firewall drops what is in
/// either, by two rules: then it sees the old list whole until the new one is, and the union while they change
/// places. An import that breaks off leaves the old list, and the next begins by clearing what it left. No feed's
/// name has a colon, so the new list is never that of another feed.
pub(super) fn write(sheet: &Sheet<'_>, page: &mut Page<'_>) -> io::Result<()> {
    family(sheet, Families::V4, "/ip firewall address-list", page)?;
    family(sheet, Families::V6, "/ipv6 firewall address-list", page)
}

fn family(sheet: &Sheet<'_>, family: Families, menu: &str, page: &mut Page<'_>) -> io::Result<()> {
    let name = sheet.feed;
    page.put(format!("{menu}\nremove [find list=\"{name}:new\"]\n"))?;
    sheet.write_entries(family, &format!("add list=\"{name}:new\" address="), "\n", page)?;
    page.put(format!("remove [find list=\"{name}\"]\n"))?;
    if !sheet.is_empty(family) {
        // Some versions take a change of nothing for an error.
        page.put(format!("set [find list=\"{name}:new\"] list=\"{name}\"\n"))?;
    }
    Ok(())
}
