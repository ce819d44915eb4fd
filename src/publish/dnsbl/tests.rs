//! Questions and answers, with the ones of another implementation beside ours.

use super::*;
use crate::addr::{IpRange, Range, RangeSet};
use crate::model::{Profile, Time};
use crate::publish::{Release, Released};
use hickory_proto::op::{Edns, Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, RecordType};
use proptest::prelude::*;
use std::sync::Arc;

const ME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LONG: &str =
    "word word word word word word word word word word word word word word word word word word ";

fn zone() -> Zone {
    Zone::new("BL.test.", "ns.example", 300, set(&["127.0.0.0/8"])).unwrap()
}

fn set(ranges: &[&str]) -> IpSet {
    ranges.iter().map(|range| range.parse::<IpRange>().unwrap()).collect()
}

fn list(set: &IpSet) -> List {
    let release = Release::new(1, Time::from_unix(1_790_000_000), set);
    List::new(Arc::new(Released::new(release, Arc::new(Profile::fortigate()))), None)
}

fn turned(address: IpAddr) -> String {
    let labels: Vec<String> = match address {
        IpAddr::V4(address) => address.octets().iter().rev().map(u8::to_string).collect(),
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}")).collect()
        }
    };
    labels.join(".")
}

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message.metadata.recursion_desired = true;
    message
}

/// Answers a packet, and has the answer read by another.
fn tell(packet: &[u8], channel: Channel, list: Option<&List>) -> (Outcome, Option<Message>) {
    let mut out = Vec::new();
    let outcome = zone().answer(
        packet,
        (ME, channel),
        list,
        |address| format!("{address}: {}", LONG.repeat(9)),
        &mut out,
    );
    (outcome, (!out.is_empty()).then(|| Message::from_vec(&out).unwrap()))
}

fn ask(name: &str, kind: RecordType) -> (ResponseCode, Vec<RData>, usize) {
    let (message, list) = (question(name, kind), list(&set(&["20.0.0.0/30", "1.2.3.4", "2a00::/64"])));
    let (_, answer) = tell(&message.to_vec().unwrap(), Channel::Tcp, Some(&list));
    let answer = answer.unwrap();
    assert_eq!(answer.metadata.id, message.metadata.id);
    assert_eq!(answer.queries, message.queries, "as it was asked, in its own case");
    assert!(answer.metadata.authoritative && answer.metadata.recursion_desired);
    assert!(!answer.metadata.recursion_available);
    let data = answer.answers.iter().map(|record| record.data.clone()).collect();
    (answer.metadata.response_code, data, answer.authorities.len())
}

#[test]
fn a_listed_address_has_an_address_and_a_reason() {
    let listed = |name: &str| {
        let (code, data, authorities) = ask(name, RecordType::A);
        match (code, &data[..], authorities) {
            (ResponseCode::NoError, [RData::A(address)], 0) => address.0 == LISTED,
            (ResponseCode::NXDomain, [], 1) => false,
            other => panic!("{name}: {other:?}"),
        }
    };
    for address in ["20.0.0.0", "20.0.0.3", "2a00::1", "127.0.0.2", "1.2.3.4"] {
        assert!(listed(&format!("{}.bl.test.", turned(address.parse().unwrap()))), "{address}");
    }
    for address in ["20.0.0.4", "2a00:1::1", "127.0.0.1", "127.0.0.3"] {
        assert!(!listed(&format!("{}.bl.test.", turned(address.parse().unwrap()))), "{address}");
    }
    for (mapped, expected) in
        [("20.0.0.1", true), ("127.0.0.2", true), ("127.0.0.1", false), ("9.9.9.9", false)]
    {
        let address: Ipv4Addr = mapped.parse().unwrap();
        let name = turned(address.to_ipv6_mapped().into());
        assert_eq!(listed(&format!("{}.Bl.TeSt.", name.to_uppercase())), expected, "::ffff:{mapped}");
    }
    let (_, data, _) = ask("1.0.0.20.bl.test.", RecordType::TXT);
    let [RData::TXT(text)] = &data[..] else { panic!("{data:?}") };
    let text: Vec<u8> = text.txt_data.iter().flatten().copied().collect();
    assert!(text.starts_with(b"20.0.0.1: word") && text.len() > 700);
}

#[test]
fn a_name_that_is_no_address_does_not_exist_and_one_that_may_become_one_does() {
    let code = |name: &str| ask(&format!("{name}.bl.test."), RecordType::A).0;
    for name in ["x", "256.0.0.1", "01.0.0.20", "0.0.20.0.0", "g.0", "a.1.0.0.20", "*.0.0.20"] {
        assert_eq!(code(name), ResponseCode::NXDomain, "{name}");
    }
    for name in ["20", "0.20", "0.0.20", "0.0.a.2", "1.0.0.2", "8.b.d.0.1.0.0.2"] {
        assert_eq!(code(name), ResponseCode::NoError, "{name}: resolvers ask label by label");
    }
}

#[test]
fn the_zone_says_who_it_is() {
    let (code, data, _) = ask("bl.test.", RecordType::SOA);
    let [RData::SOA(soa)] = &data[..] else { panic!("{data:?}") };
    assert_eq!((code, soa.serial, soa.minimum), (ResponseCode::NoError, 1_790_000_000, 300));
    assert_eq!(
        (soa.mname.to_string(), soa.rname.to_string()),
        ("ns.example.".into(), "hostmaster.bl.test.".into())
    );
    let (_, data, _) = ask("bl.test.", RecordType::NS);
    let [RData::NS(server)] = &data[..] else { panic!("{data:?}") };
    assert_eq!(server.0.to_string(), "ns.example.");
    for (name, kind) in [
        ("bl.test.", RecordType::A),
        ("1.0.0.20.bl.test.", RecordType::AAAA),
        ("1.0.0.20.bl.test.", RecordType::NS),
    ] {
        assert_eq!(ask(name, kind), (ResponseCode::NoError, Vec::new(), 1), "{name} {kind}");
    }
}

#[test]
fn what_is_not_ours_to_answer_is_refused() {
    let list = list(&set(&["20.0.0.0/30"]));
    let refused = |message: &Message, from: &str| {
        let (mut out, from) = (Vec::new(), (from.parse().unwrap(), Channel::Udp));
        let outcome =
            zone().answer(&message.to_vec().unwrap(), from, Some(&list), |_| String::new(), &mut out);
        let code = Message::from_vec(&out).unwrap().metadata.response_code;
        assert_eq!(outcome == Outcome::Refused, code == ResponseCode::Refused);
        outcome == Outcome::Refused
    };
    let name = "1.0.0.20.bl.test.";
    assert!(!refused(&question(name, RecordType::A), "127.9.9.9"));
    assert!(!refused(&question(name, RecordType::A), "::ffff:127.0.0.1"));
    assert!(refused(&question(name, RecordType::A), "192.0.2.1"));
    assert!(refused(&question(name, RecordType::A), "::1"));
    assert!(refused(&question(name, RecordType::AXFR), "127.0.0.1"));
    for other in ["1.0.0.20.", "bl.example.", ".", "test.", "1.0.0.20.xbl.test.", "1.0.0.20.bl.test.com."] {
        assert!(refused(&question(other, RecordType::A), "127.0.0.1"), "{other}");
    }
    let mut chaos = Message::query();
    let mut query = Query::query(Name::from_ascii(name).unwrap(), RecordType::A);
    query.set_query_class(DNSClass::CH);
    chaos.add_query(query);
    assert!(refused(&chaos, "127.0.0.1"));
}

#[test]
fn without_a_list_nothing_is_said_to_be_clear() {
    let packet = question("1.0.0.20.bl.test.", RecordType::A).to_vec().unwrap();
    let (outcome, answer) = tell(&packet, Channel::Udp, None);
    assert_eq!((outcome, answer.unwrap().metadata.response_code), (Outcome::Failed, ResponseCode::ServFail));
}

#[test]
fn an_answer_that_does_not_fit_a_packet_is_cut_to_its_question() {
    let list = list(&set(&["20.0.0.0/30"]));
    let mut message = question("1.0.0.20.bl.test.", RecordType::TXT);
    let answers = |message: &Message, channel| {
        let answer = tell(&message.to_vec().unwrap(), channel, Some(&list)).1.unwrap();
        assert_eq!(answer.edns.is_some(), message.edns.is_some());
        (answer.metadata.truncation, answer.answers.len())
    };
    assert_eq!(answers(&message, Channel::Udp), (true, 0));
    assert_eq!(answers(&message, Channel::Tcp), (false, 1));
    message.edns = Some(Edns::new());
    message.edns.as_mut().unwrap().set_max_payload(1232);
    assert_eq!(answers(&message, Channel::Udp), (false, 1));
    message.edns.as_mut().unwrap().set_version(1);
    let (outcome, answer) = tell(&message.to_vec().unwrap(), Channel::Udp, Some(&list));
    let code = u16::from(answer.unwrap().metadata.response_code);
    assert_eq!((outcome, code), (Outcome::Malformed, 16), "BADVERS");
}

#[test]
fn what_is_no_question_gets_its_code_or_no_answer() {
    let list = list(&set(&["20.0.0.0/30"]));
    let code = |packet: &[u8]| {
        let answer = tell(packet, Channel::Udp, Some(&list)).1;
        answer.map(|answer| answer.metadata.response_code)
    };
    let good = question("1.0.0.20.bl.test.", RecordType::A).to_vec().unwrap();
    assert_eq!(code(&good), Some(ResponseCode::NoError));
    assert_eq!(code(&good[..11]), None);
    assert_eq!(code(&good[..20]), Some(ResponseCode::FormErr));
    let with = |at: usize, byte: u8| {
        let mut packet = good.clone();
        packet[at] = byte;
        code(&packet)
    };
    assert_eq!(with(2, 0x81), None, "an answer is never answered");
    assert_eq!(with(2, 0x28), Some(ResponseCode::NotImp), "an update");
    assert_eq!(with(5, 2), Some(ResponseCode::FormErr), "two questions");
    assert_eq!(with(12, 0xc0), Some(ResponseCode::FormErr), "a pointer");
    let mut notify = Message::query();
    notify.metadata.op_code = OpCode::Notify;
    assert_eq!(code(&notify.to_vec().unwrap()), Some(ResponseCode::NotImp));
}

#[test]
fn a_name_for_a_zone_is_one_of_plain_labels() {
    for name in ["", ".", "a..b", "a b", "ä.test", &"a".repeat(64), &"abcdefgh.".repeat(12)] {
        assert!(Zone::new(name, "ns", 1, IpSet::default()).is_none(), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn whatever_comes_is_answered_readably_or_not_at_all(
        mut packet in proptest::collection::vec(any::<u8>(), 0..120),
        head in any::<bool>(),
    ) {
        if head && packet.len() > 12 {
            let options = packet[3] & 1;
            packet[2..12].copy_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, options]);
        }
        let list = list(&set(&["20.0.0.0/30"]));
        let (outcome, answer) = tell(&packet, Channel::Udp, Some(&list));
        prop_assert_eq!(answer.is_none(), packet.len() < 12 || packet[2] & 0x80 != 0);
        if let Some(answer) = answer {
            prop_assert_eq!(answer.metadata.id.to_be_bytes(), [packet[0], packet[1]]);
            prop_assert!(outcome != Outcome::Listed || !answer.answers.is_empty() || !answer.authorities.is_empty());
        }
    }

    #[test]
    fn a_list_holds_just_its_release_also_when_it_is_laid_over_others(
        releases in proptest::collection::vec(proptest::collection::vec((any::<u8>(), 0..9_u8), 0..30), 1..5),
    ) {
        let mut before = None;
        for release in releases {
            let ranges = release.iter().map(|(at, len)| Range::new(u32::from(*at), u32::from(*at) + u32::from(*len)));
            let v4: RangeSet<u32> = ranges.flatten().collect();
            let v6 = v4.iter().filter_map(|r| Range::new(u128::from(r.first()) << 64, u128::from(r.last()) << 64));
            let set = IpSet { v6: v6.collect(), v4 };
            let release = Release::new(1, Time::default(), &set);
            let released = Arc::new(Released::new(release, Arc::new(Profile::fortigate())));
            let now = List::new(released, before.as_ref());
            for at in 0..300 {
                let (v4, v6) = (Ipv4Addr::from_bits(at).into(), Ipv6Addr::from_bits(u128::from(at) << 64 | 1).into());
                prop_assert_eq!((now.holds(v4), now.holds(v6)), (set.contains(v4), set.contains(v6)));
            }
            before = Some(now);
        }
    }
}
