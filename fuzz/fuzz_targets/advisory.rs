//! OSV documents and the orders of versions: nothing panics, and what is read is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchbell_domain::advisory::osv;
use watchbell_domain::advisory::version::{Order, compare};

const ORDERS: [Order; 9] = [
    Order::Semver,
    Order::Pep440,
    Order::Maven,
    Order::Gem,
    Order::NuGet,
    Order::Composer,
    Order::Debian,
    Order::Rpm,
    Order::Alpine,
];

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(document) = serde_json::from_str(text) {
        drop(osv::parse(document));
    }
    if let Some((a, b)) = text.split_once('\n') {
        for order in ORDERS {
            let forth = compare(order, a, b);
            assert_eq!(forth, compare(order, b, a).map(std::cmp::Ordering::reverse), "{order:?} {a:?} {b:?}");
        }
    }
});
