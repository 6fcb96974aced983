//! Rows A1–A11, A19 and A0 of the table of bad inputs.

use rstest::rstest;

use super::*;

const FORBIDDEN: &str = "endpoint_url_forbidden";
const INVALID: &str = "endpoint_url_invalid";
const SCHEME: &str = "endpoint_url_scheme";
const PORT: &str = "endpoint_url_port";

fn closed() -> EgressPolicy {
    EgressPolicy { own_host: Some("Hooks.Example.org".to_owned()), ..EgressPolicy::default() }
}

fn open(rules: &[&str]) -> EgressPolicy {
    EgressPolicy {
        allow: rules.iter().map(|rule| rule.parse().unwrap()).collect(),
        allow_http: true,
        ..EgressPolicy::default()
    }
}

fn code(policy: &EgressPolicy, text: &str) -> &'static str {
    match policy.check_url(text) {
        Ok(_) => "accepted",
        Err(refused) => {
            assert!(refused.detail.chars().count() < 250, "{refused}");
            refused.code
        }
    }
}

#[rstest]
#[case("127.0.0.1")]
#[case("2130706433")]
#[case("0x7f000001")]
#[case("0X7F.0x0.0x0.0x1")]
#[case("0177.0.0.1")]
#[case("127.1")]
#[case("127.0.1")]
#[case("0x7f.1")]
#[case("127.0.0.1.")]
#[case("00000177.0.0.1")]
#[case("１２７.０.０.１")]
#[case("①②⑦.⓪.⓪.①")]
#[case("127。0。0。1")]
#[case("127．0．0｡1")]
#[case("%31%32%37.0.0.1")]
#[case("127%2e0%2E0.1")]
#[case("0")]
#[case("0.0.0.0")]
#[case("10.0.0.1")]
#[case("100.64.0.1")]
#[case("100.100.100.200")]
#[case("169.254.169.254")]
#[case("169.254.170.2")]
#[case("172.16.0.1")]
#[case("172.31.255.255")]
#[case("192.0.0.192")]
#[case("192.168.1.1")]
#[case("198.18.0.1")]
#[case("198.51.100.7")]
#[case("203.0.113.7")]
#[case("224.0.0.1")]
#[case("240.0.0.1")]
#[case("255.255.255.255")]
#[case("168.63.129.16")]
#[case("192.88.99.1")]
#[case("[::]")]
#[case("[::1]")]
#[case("[0:0:0:0:0:0:0:1]")]
#[case("[::127.0.0.1]")]
#[case("[::ffff:127.0.0.1]")]
#[case("[::FFFF:7F00:1]")]
#[case("[::ffff:8.8.8.8]")]
#[case("[::ffff:0:127.0.0.1]")]
#[case("[64:ff9b::7f00:1]")]
#[case("[64:ff9b::8.8.8.8]")]
#[case("[64:ff9b:1::1]")]
#[case("[2002:7f00:1::]")]
#[case("[2001:0:1234::1]")]
#[case("[2001:2::1]")]
#[case("[2001:db8::1]")]
#[case("[3fff::1]")]
#[case("[100::1]")]
#[case("[5f00::1]")]
#[case("[fc00::1]")]
#[case("[fd00:ec2::254]")]
#[case("[fd20:ce::254]")]
#[case("[fe80::1]")]
#[case("[FE80:0:0::A]")]
#[case("[fec0::1]")]
#[case("[ff02::1]")]
#[case("localhost")]
#[case("LOCALHOST.")]
#[case("a.localhost")]
#[case("x.localdomain")]
#[case("localhost.localdomain")]
#[case("localhost6")]
#[case("ip6-localhost")]
#[case("ip6-loopback")]
#[case("kubernetes.default")]
#[case("kubernetes.default.svc")]
#[case("db")]
#[case("printer.local")]
#[case("metadata.google.internal")]
#[case("router.home.arpa")]
#[case("api.ns.svc.cluster.local")]
#[case("x.onion")]
#[case("x.invalid")]
#[case("metadata.goog")]
#[case("METADATA.GOOG.")]
#[case("hooks.example.org")]
#[case("HOOKS.example.org.")]
fn a1_a3_hosts_that_nobody_may_reach(#[case] host: &str) {
    assert_eq!(code(&closed(), &format!("https://{host}/hook")), FORBIDDEN);
    assert_eq!(code(&closed(), &format!("https://{host}:8443/hook")), FORBIDDEN);
}

#[rstest]
#[case("https://4294967296/")]
#[case("https://256.1.1.1/")]
#[case("https://1.2.3.4.5/")]
#[case("https://1.2.3.08/")]
#[case("https://0x100000000/")]
#[case("https://[fe80::1%25eth0]/")]
#[case("https://[fe80::1%eth0]/")]
#[case("https://[127.0.0.1]/")]
#[case("https://[example.com]/")]
#[case("https://[::1/")]
#[case("https://::1]/")]
#[case("https://::1/")]
#[case("https://a@b.example/")]
#[case("https://a:b@b.example/")]
#[case("https://@h.example/")]
#[case("https://h.example\\@a.example/")]
#[case("https:\\\\h.example/")]
#[case("https://h.example /")]
#[case(" https://h.example/")]
#[case("https://h.example/\t")]
#[case("https://h.exa\tmple/")]
#[case("ht\ntps://h.example/")]
#[case("https://h.example/\r\nX: y")]
#[case("https://h.example/\0")]
#[case("https://h.example/\u{85}")]
#[case("https://h.example/\u{3000}")]
#[case("https:h.example")]
#[case("https:/h.example")]
#[case("https:///h.example")]
#[case("//h.example")]
#[case("h.example/x")]
#[case("https://")]
#[case("https://?x")]
#[case("https://#x")]
#[case("https://:443/")]
#[case("")]
#[case("   ")]
#[case("https://*.example.com/")]
#[case("https://a..example.com/")]
#[case("https://.example.com/")]
#[case("https://example.com../")]
#[case("https://exa%00mple.com/")]
#[case("https://exa%20mple.com/")]
#[case("https://exa%2fmple.com/")]
#[case("https://exa<mple.com/")]
#[case("https://-a.example/")]
#[case("https://xn--ascii-.example/")]
#[case("https://xn--localhost-.example/")]
#[case("https://xn--a.example/")]
fn a2_a3_a5_a6_a10_what_is_no_url(#[case] text: &str) {
    assert_eq!(code(&closed(), text), INVALID, "{text:?}");
}

#[rstest]
#[case("172.32.0.1")]
#[case("172.15.255.255")]
#[case("100.128.0.1")]
#[case("100.63.255.255")]
#[case("11.0.0.1")]
#[case("9.255.255.255")]
#[case("126.255.255.255")]
#[case("128.0.0.1")]
#[case("169.253.255.255")]
#[case("169.255.0.1")]
#[case("168.63.129.15")]
#[case("168.63.129.17")]
#[case("192.0.1.1")]
#[case("192.0.3.1")]
#[case("192.167.255.255")]
#[case("192.169.0.1")]
#[case("198.17.255.255")]
#[case("198.20.0.1")]
#[case("223.255.255.255")]
#[case("1.0.0.0")]
#[case("[2001:db9::1]")]
#[case("[2001:200::1]")]
#[case("[2003::1]")]
#[case("[2606:4700:4700::1111]")]
#[case("[3ffe::1]")]
#[case("127.0.0.1.example.com")]
#[case("10.example.com")]
#[case("localhost.example.com")]
#[case("mylocalhost.example")]
#[case("internal.example.com")]
#[case("metadata.goog.example.com")]
#[case("a_b.example.com")]
#[case("hooks.example.org.example.com")]
fn a4_neighbours_are_accepted(#[case] host: &str) {
    assert_eq!(code(&closed(), &format!("https://{host}/hook")), "accepted");
}

#[rstest]
#[case("http://h.example/")]
#[case("HTTP://h.example/")]
#[case("file:///etc/passwd")]
#[case("ftp://h.example/")]
#[case("gopher://h.example/")]
#[case("dict://h.example/")]
#[case("ldap://h.example/")]
#[case("data:text/plain,x")]
#[case("javascript:alert(1)")]
#[case("jar:https://h.example/!/")]
#[case("unix:/var/run/docker.sock")]
#[case("ws://h.example/")]
#[case("blob:https://h.example/x")]
fn a7_https_only(#[case] text: &str) {
    assert_eq!(code(&closed(), text), SCHEME);
}

#[rstest]
#[case("0")]
#[case("65536")]
#[case("-1")]
#[case("")]
#[case("0x1bb")]
#[case("443a")]
#[case("４４３")]
#[case("000443")]
#[case("99999999999999999999")]
#[case("22")]
#[case("21")]
#[case("25")]
#[case("103")]
#[case("6379")]
#[case("6667")]
#[case("11211")]
#[case("27017")]
fn a8_a9_ports(#[case] port: &str) {
    assert_eq!(code(&closed(), &format!("https://h.example:{port}/")), PORT);
    assert_eq!(code(&closed(), &format!("https://[2606:4700::1]:{port}/")), PORT);
}

#[test]
fn a8_a_malformed_host_and_port_is_invalid() {
    assert_eq!(code(&closed(), "https://h.example:443:443/"), PORT);
    assert_eq!(code(&closed(), "https://[2606:4700::1]443/"), INVALID);
}

#[test]
fn a10_lengths() {
    let label = |n: usize| "a".repeat(n);
    assert_eq!(code(&closed(), &format!("https://{}.example/", label(63))), "accepted");
    assert_eq!(code(&closed(), &format!("https://{}.example/", label(64))), INVALID);
    let name = |last: usize| [label(63), label(63), label(63), label(last)].join(".");
    assert_eq!(code(&closed(), &format!("https://{}/", name(61))), "accepted");
    assert_eq!(code(&closed(), &format!("https://{}/", name(62))), INVALID);
    let url = |n: usize| format!("https://h.example/{}", label(n - 18));
    assert_eq!(code(&closed(), &url(2048)), "accepted");
    assert_eq!(code(&closed(), &url(2049)), INVALID);
}

#[test]
fn a11_international_names_are_kept_as_xn() {
    let normal = |text: &str| closed().check_url(text).unwrap().to_string();
    assert_eq!(normal("https://BÜCHER.example/ä"), "https://xn--bcher-kva.example/%C3%A4");
    assert_eq!(normal("https://xn--bcher-kva.example/"), "https://xn--bcher-kva.example/");
    assert_eq!(normal("https://EXAMPLE.com.:443/A?b#c"), "https://example.com/A?b#c");
    assert_eq!(normal("https://faß.example/"), "https://xn--fa-hia.example/");
}

#[rstest]
#[case(&["127.0.0.1/32:8443"], "https://127.0.0.1:8443/", "accepted")]
#[case(&["127.0.0.1/32:8443"], "https://2130706433:8443/", "accepted")]
#[case(&["127.0.0.1/32:8443"], "https://127.0.0.1:8444/", FORBIDDEN)]
#[case(&["127.0.0.1/32:8443"], "https://127.0.0.1/", FORBIDDEN)]
#[case(&["127.0.0.1/32:8443"], "https://127.0.0.2:8443/", FORBIDDEN)]
#[case(&["127.0.0.1/32:8443"], "https://[::1]:8443/", FORBIDDEN)]
#[case(&["127.0.0.1/32:8443"], "https://[::ffff:127.0.0.1]:8443/", FORBIDDEN)]
#[case(&["127.0.0.1/32:8443"], "https://169.254.169.254/", FORBIDDEN)]
#[case(&["127.0.0.1/32:8443"], "https://localhost:8443/", "accepted")]
#[case(&["127.0.0.1/32:8443"], "https://localhost:8444/", FORBIDDEN)]
#[case(&["127.0.0.1/32:8443"], "https://db:8443/", FORBIDDEN)]
#[case(&["127.0.0.1/32:8443"], "https://x.internal:8443/", FORBIDDEN)]
#[case(&["[::1/128]:8443"], "https://localhost:8443/", "accepted")]
#[case(&["127.0.0.0/8"], "http://127.3.2.1:9999/", "accepted")]
#[case(&["127.0.0.0/8"], "http://127.0.0.1:22/", "accepted")]
#[case(&["10.2.0.0/16:8088"], "https://10.2.255.255:8088/", "accepted")]
#[case(&["10.2.0.0/16:8088"], "https://10.3.0.0:8088/", FORBIDDEN)]
#[case(&["10.2.0.0/16:9200"], "https://siem.example:9200/", "accepted")]
#[case(&["10.2.0.0/16:9200"], "https://siem.example:9300/", PORT)]
#[case(&["fd00::/8"], "https://[fd12::1]/", "accepted")]
#[case(&["fd00::/8"], "https://[fe80::1]/", FORBIDDEN)]
fn a19_an_allow_rule_opens_exactly_what_it_says(#[case] rules: &[&str], #[case] text: &str, #[case] wanted: &str) {
    assert_eq!(code(&open(rules), text), wanted);
}

#[rstest]
#[case("8.8.8.8:443", true)]
#[case("8.8.8.8:0", false)]
#[case("8.8.8.8:6379", false)]
#[case("[2606:4700::1]:443", true)]
#[case("[::ffff:8.8.8.8]:443", false)]
#[case("[64:ff9b::808:808]:443", false)]
#[case("[2002:808:808::1]:443", false)]
#[case("127.0.0.1:443", false)]
#[case("169.254.169.254:80", false)]
#[case("10.2.3.4:9200", true)]
#[case("10.2.3.4:9300", false)]
#[case("[::ffff:10.2.3.4]:9200", false)]
fn addresses_are_judged_before_dialling(#[case] address: &str, #[case] allowed: bool) {
    let verdict = open(&["10.2.0.0/16:9200"]).check_address(address.parse().unwrap());
    assert_eq!(verdict.is_ok(), allowed);
}

#[rstest]
#[case("127.0.0.0/8:8443", "127.0.0.0/8:8443")]
#[case("10.2.3.4/16", "10.2.0.0/16")]
#[case("127.0.0.1:80", "127.0.0.1/32:80")]
#[case("[fd00::/8]:443", "[fd00::/8]:443")]
#[case("[fd00::/8]", "fd00::/8")]
#[case("fd00::/8", "fd00::/8")]
#[case("::1", "::1/128")]
fn allow_rules_are_read(#[case] text: &str, #[case] normal: &str) {
    assert_eq!(text.parse::<AllowRule>().unwrap().to_string(), normal);
}

#[rstest]
#[case("0.0.0.0/0", AllowRuleError::Everything)]
#[case("::/0", AllowRuleError::Everything)]
#[case("[::/0]:443", AllowRuleError::Everything)]
#[case("10.0.0.0/0:443", AllowRuleError::Everything)]
#[case("", AllowRuleError::Spelling)]
#[case("10.0.0.0/33", AllowRuleError::Spelling)]
#[case("10.0.0.0/8:0", AllowRuleError::Spelling)]
#[case("10.0.0.0/8:", AllowRuleError::Spelling)]
#[case("10.0.0.0/8:70000", AllowRuleError::Spelling)]
#[case("[fd00::/8", AllowRuleError::Spelling)]
#[case("[fd00::/8]443", AllowRuleError::Spelling)]
#[case("example.com:443", AllowRuleError::Spelling)]
fn what_is_no_allow_rule(#[case] text: &str, #[case] wanted: AllowRuleError) {
    assert_eq!(text.parse::<AllowRule>(), Err(wanted));
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text: String, host in "[a-z0-9.%:\\[\\]x-]{0,30}") {
        let _refused = closed().check_url(&text);
        let _refused = closed().check_url(&format!("https://{host}/"));
    }
}

#[rstest]
#[case::https("https://my.app.com/", "accepted")]
#[case::name("http://my.app.com/", SCHEME)]
#[case::public_address("http://8.8.8.8/", SCHEME)]
#[case::opened("http://127.0.0.1:3000/", "accepted")]
#[case::opened_by_name("http://localhost:3000/", "accepted")]
#[case::opened_v6("http://[fd00::1]:8088/", "accepted")]
#[case::other_port("http://[fd00::1]:8089/", FORBIDDEN)]
#[case::not_opened("http://10.0.0.1/", FORBIDDEN)]
fn where_https_alone_is_taken_the_switch_opens_plain_http_to_named_addresses_only(
    #[case] text: &str,
    #[case] expected: &str,
) {
    let policy = open(&["127.0.0.0/8", "[fd00::/8]:8088"]);
    let verdict = policy.check_https_url(text).map_or_else(|refused| refused.code, |_| "accepted");
    assert_eq!(verdict, expected);
    let without_switch = EgressPolicy { allow_http: false, ..policy };
    assert_eq!(without_switch.check_https_url(text).is_ok(), text.starts_with("https:"));
}

#[test]
fn e8_a_credential_in_the_query_is_not_repeated() {
    let refused = closed().check_url("https://a.com%%/in?token=deadbeef").unwrap_err();
    assert!(refused.detail.contains("a.com%%/in") && !refused.detail.contains("deadbeef"), "{refused}");
}

#[test]
fn a0_nat64_is_judged_by_the_address_in_it_where_the_operator_has_it() {
    let verdict = |nat64: bool, address: &str| {
        let policy = EgressPolicy { nat64, ..EgressPolicy::default() };
        let address: IpAddr = address.parse().unwrap();
        let dialled = policy.check_address(SocketAddr::new(address, 443)).is_ok();
        assert_eq!(policy.check_url(&format!("https://[{address}]/")).is_ok(), dialled, "{address}");
        dialled
    };
    assert!(verdict(true, "64:ff9b::8.8.8.8"));
    assert!(!verdict(false, "64:ff9b::8.8.8.8"));
    for address in ["64:ff9b::10.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::8.8.8.8"] {
        assert!(!verdict(true, address), "{address}");
    }
}

#[test]
fn a9_the_operator_says_which_ports_are_denied() {
    let policy = |texts: &[&str]| EgressPolicy {
        denied_ports: DeniedPorts::parse(texts.iter().copied()).unwrap(),
        ..EgressPolicy::default()
    };
    let verdict = |policy: &EgressPolicy, port: u16| {
        let dialled = policy.check_address(SocketAddr::new([8, 8, 8, 8].into(), port)).is_ok();
        assert_eq!(policy.check_url(&format!("https://a.example:{port}/")).is_ok(), dialled, "{port}");
        dialled
    };
    let own = policy(&["8000-8002", "9000"]);
    assert_eq!(
        [7999, 8000, 8002, 8003, 9000, 25].map(|port| verdict(&own, port)),
        [true, false, false, true, false, true]
    );
    assert!(verdict(&policy(&[]), 25) && !verdict(&EgressPolicy::default(), 25));
    let default = DeniedPorts::default();
    let texts = default.texts();
    assert_eq!(DeniedPorts::parse(texts.iter().map(String::as_str)), Ok(default));
    for text in ["", "0", "65536", "http", "9-8", "1-", "-1"] {
        assert_eq!(DeniedPorts::parse([text]), Err(NotAPort), "{text}");
    }
}

#[test]
fn a21_nothing_opens_where_we_listen_ourselves() {
    let policy =
        |own: &str| EgressPolicy { own_addresses: vec![own.parse().unwrap()], ..open(&["127.0.0.0/8", "::1"]) };
    let verdict = |policy: &EgressPolicy, address: &str| {
        let dialled = policy.check_address(address.parse().unwrap()).is_ok();
        assert_eq!(policy.check_url(&format!("http://{address}/")).is_ok(), dialled, "{address}");
        dialled
    };
    let one = policy("127.0.0.1:8420");
    assert!(!verdict(&one, "127.0.0.1:8420"));
    assert!(verdict(&one, "127.0.0.1:8421") && verdict(&one, "127.0.0.2:8420"));
    assert!(one.check_url("http://localhost:8420/").is_ok(), "[::1]:8420 is not ours");
    for everywhere in ["0.0.0.0:8420", "[::]:8420"] {
        let everywhere = policy(everywhere);
        assert!(!verdict(&everywhere, "127.0.0.1:8420") && !verdict(&everywhere, "[::1]:8420"));
        assert!(everywhere.check_url("http://localhost:8420/").is_err());
    }
}
