//! The sets of the Linux kernel: nftables and ipset, each replaced in one step.

use super::page::Page;
use super::sheet::Sheet;
use crate::disk::{digest, hex};
use crate::model::Families;
use std::io;

/// One transaction: who matches against the sets sees all of the old entries or all of the new ones. The sets are
/// `v4-NAME` and `v6-NAME` in the table `inet ironlist`, made if they are not there. Entries are disjoint, so the
/// kernel has nothing to merge; where it merges by itself, it has blocked what nobody listed.
pub(super) fn nftables(sheet: &Sheet<'_>, page: &mut Page<'_>) -> io::Result<()> {
    page.put("add table inet ironlist\n")?;
    for (family, prefix, kind) in [(Families::V4, "v4", "ipv4_addr"), (Families::V6, "v6", "ipv6_addr")] {
        let set = format!("inet ironlist {prefix}-{}", sheet.feed);
        page.put(format!("add set {set} {{ type {kind}; flags interval; }}\nflush set {set}\n"))?;
        // Braces around nothing are a syntax error.
        if !sheet.is_empty(family) {
            page.put(format!("add element {set} {{\n"))?;
            sheet.write_entries(family, "", ",\n", page)?;
            page.put("}\n")?;
        }
    }
    Ok(())
}

/// More entries than any set here has. It only bounds a set and takes no memory, and as a set that is there must
/// be made with the same bound again, it is the same for every generation.
const MAXELEM: u32 = 1 << 26;

/// Fills new sets, swaps them with the old ones and drops those. The sets are `v4-NAME` and `v6-NAME`, see [`set_name`].
pub(super) fn ipset(sheet: &Sheet<'_>, page: &mut Page<'_>) -> io::Result<()> {
    for (family, prefix, inet) in [(Families::V4, "v4", "inet"), (Families::V6, "v6", "inet6")] {
        let set = format!("{prefix}-{}", set_name(sheet.feed));
        let entries = sheet.pieces(family).count();
        // Buckets hold a few entries each; a table that begins too small is rebuilt again and again.
        let hashsize = (entries / 2).next_power_of_two().max(64);
        let make = |name: &str| {
            format!("create {name} hash:net family {inet} hashsize {hashsize} maxelem {MAXELEM} -exist\n")
        };
        page.put(make(&set) + &make(&format!("{set}-NEW")))?;
        // One that a restore left which broke off.
        page.put(format!("flush {set}-NEW\n"))?;
        sheet.write_entries(family, &format!("add {set}-NEW "), "\n", page)?;
        page.put(format!("swap {set}-NEW {set}\ndestroy {set}-NEW\n"))?;
    }
    Ok(())
}

/// The kernel takes 31 bytes of a set's name, seven of which are for `v4-` and `-NEW`. A longer name is cut and
/// told from others by a digest. No feed's name has capitals, so these are never the sets of another feed.
fn set_name(feed: &str) -> String {
    if feed.len() <= 24 {
        return feed.to_owned();
    }
    let begin: String = feed.chars().take(15).collect();
    format!("{begin}H{}", &hex(&digest(&[feed.as_bytes()]))[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_takes_the_name_of_every_feed_and_tells_long_ones_apart() {
        let longest = |end: char| format!("{}{end}", "x".repeat(63));
        for feed in ["a", "exactly-twenty-four-byte", &longest('a')] {
            assert!(set_name(feed).len() <= 24, "{feed}");
        }
        assert_eq!(set_name("exactly-twenty-four-byte"), "exactly-twenty-four-byte");
        assert_ne!(set_name(&longest('a')), set_name(&longest('b')));
    }
}
