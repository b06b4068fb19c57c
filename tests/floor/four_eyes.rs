//! What takes two people, over HTTP: one person alone cannot, nor the same one twice, nor one without the role, the PIN or the
//! session's own secret; two can, and the audit says who.

use kiln_event::VerdictWord;

use crate::bench::{Bench, Process};
use crate::browser::Browser;
use crate::prepared::Prepared;

const UNIT: &str = "/units/SRV1";
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/floor/floor.yaml");

/// A floor over TLS with a unit that is an outlier of its lot.
fn with_an_outlier() -> (Bench, Process) {
    Bench::secured_after(&[], |data| Prepared::of(&["smoke"]).ends("SRV1", VerdictWord::Held).keep(data))
}

fn sends(browser: &Browser, act: &str, form: &str) -> String {
    browser.acts(&format!("{UNIT}/{act}?lang=en"), form)
}

/// What a person reads after a form was refused.
fn refused(browser: &Browser, act: &str, form: &str) -> String {
    let to = sends(browser, act, form);
    assert!(to.contains("told=refused"), "{act} is taken: {to}");
    let (_, page) = browser.get(&to);
    let told = page.split("role=\"alert\">").nth(1).and_then(|rest| rest.split("</p>").next());
    told.unwrap_or_else(|| panic!("nothing is told on {page}")).to_owned()
}

fn shown(browser: &Browser) -> String {
    let (_, page) = browser.get(&format!("{UNIT}?lang=en"));
    page.split("<main>").nth(1).expect("a main part").to_owned()
}

/// The word that stands large on the unit's page.
fn word(browser: &Browser) -> String {
    let page = shown(browser);
    let big = page.split("class=\"big\"").nth(1).and_then(|rest| rest.split("</p>").next());
    big.unwrap_or_else(|| panic!("no word on {page}")).to_owned()
}

fn is_held(browser: &Browser) -> bool {
    word(browser).contains("Held △")
}

#[test]
fn an_outlier_is_released_by_two_people_who_logged_in_and_by_nobody_alone() {
    let (bench, _floor) = with_an_outlier();
    let [operator, engineer, admin] = ["operator", "engineer", "admin"].map(|name| Browser::of(&bench, name));
    let page = shown(&operator);
    for said in
        ["Held △", "it is an outlier of its lot", "Do not ship it. Put it aside", "release it with a second person"]
    {
        assert!(page.contains(said), "{said} is not on {page}");
    }
    assert!(!page.contains("/decide"), "an operator decides nothing here");
    let page = shown(&engineer);
    assert!(
        page.contains("value=\"release\"") && page.contains("value=\"scrap\"") && !page.contains("value=\"repair\"")
    );
    assert!(refused(&engineer, "decide", "what=repair&why=x").contains("nothing is proven that could be repaired"));
    assert!(refused(&admin, "agree", "").contains("nobody has asked to release unit SRV1"));
    // A name that is typed is nobody's agreement.
    assert!(!sends(&engineer, "decide", "what=release&why=two+batches&second=admin").contains("told="));
    assert!(is_held(&engineer));
    let again = "to release a unit that is held takes two persons";
    assert!(refused(&engineer, "agree", "").contains(again), "the same person twice");
    assert!(!shown(&engineer).contains("/agree") && shown(&engineer).contains("another person logs in"));
    let twin = Browser::of(&bench, "engineer");
    assert!(refused(&twin, "agree", "by=admin").contains(again), "nor in a second session, nor under another name");
    assert!(is_held(&engineer));
    let page = shown(&admin);
    assert!(
        page.contains("Asks to release it: engineer — two batches") && page.contains("I agree: release it"),
        "{page}"
    );
    assert!(!sends(&admin, "agree", "").contains("told="));
    assert!(word(&admin).contains("Passed ○") && shown(&admin).contains("two batches (engineer, admin)"));
    for browser in [&operator, &engineer] {
        let page = shown(browser);
        let row = "<td>engineer, admin</td><td>Passed</td><td>two batches</td><td class=\"small\">run-2</td>";
        assert!(page.contains("What people decided") && page.contains(row), "{page}");
    }
    // The same form once more decides nothing once more.
    assert!(refused(&admin, "agree", "").contains("unit SRV1 is not held"));
    let lines = bench.audited();
    let line = |what: &str| lines.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("{what}: {lines}"));
    assert!(line("release-asked").contains("{\"person\":\"engineer\"}"));
    let decided = line("\"disposition\":\"released\"");
    assert!(
        decided.contains("\"actor\":{\"person\":\"admin\"}") && decided.contains("\"second\":\"engineer\""),
        "{decided}"
    );
    assert_eq!(lines.matches("\"disposed\"").count(), 1, "{lines}");
}

#[test]
fn an_outlier_at_an_earlier_stop_goes_on_by_two_people_and_is_not_released() {
    let (bench, _floor) = Bench::secured_after(&["--floor", EXAMPLE], |data| {
        Prepared::of(&["smoke", "acceptance"]).ends("SRV1", VerdictWord::Held).keep(data);
    });
    let [engineer, admin] = ["engineer", "admin"].map(|name| Browser::of(&bench, name));
    let page = shown(&engineer);
    assert!(page.contains("Let it go on to its next test (two people)"));
    assert!(
        page.contains("let it go on to its next test with a second person") && !page.contains("release it with"),
        "{page}"
    );
    assert!(!sends(&engineer, "decide", "what=release&why=two+batches").contains("told="));
    assert!(shown(&admin).contains("I agree: let it go on to its next test"));
    assert!(!sends(&admin, "agree", "").contains("told="));
    let word = word(&admin);
    assert!(!word.contains("Held △") && !word.contains("Passed ○"), "{word}");
    let row = "<td>engineer, admin</td><td>On to its next test</td><td>two batches</td><td class=\"small\">run-2</td>";
    assert!(shown(&engineer).contains(row), "{}", shown(&engineer));
    let lines = bench.audited();
    assert!(lines.contains("\"hold-waived\":{\"unit\":\"SRV1\"") && !lines.contains("\"disposed\""), "{lines}");
}

#[test]
fn a_role_a_pin_and_a_session_that_are_not_right_release_nothing() {
    let (bench, _floor) = with_an_outlier();
    let [viewer, operator, engineer, admin] =
        ["viewer", "operator", "engineer", "admin"].map(|name| Browser::of(&bench, name));
    let posts = |browser: &Browser, token: &str, act: &str| {
        browser.posts(&format!("{UNIT}/{act}?lang=en"), &format!("what=release&why=x&token={token}"))
    };
    for browser in [&viewer, &operator] {
        for act in ["decide", "agree", "free"] {
            let (status, answer) = posts(browser, &browser.token(), act);
            assert!(status == 403 && answer.contains("this takes another role than yours"), "{act}: {answer}");
        }
    }
    assert!(!sends(&engineer, "decide", "what=release&why=x").contains("told="));
    // A wrong PIN gives no session to agree with.
    let guess = Browser::new(&bench);
    let (to, cookie) = guess.login("B-admin", "493818");
    assert!(to.contains("told=login") && cookie.is_empty(), "{to} {cookie}");
    let (status, answer) = posts(&guess, &admin.token(), "agree");
    assert!(status == 303 && answer.contains("location: /login"), "{answer}");
    // A secret of another session: another person's, the same person's, one that has ended; or none.
    let twin = Browser::of(&bench, "admin");
    for token in [engineer.token(), twin.token(), "0".repeat(64), String::new()] {
        let (status, answer) = posts(&admin, &token, "agree");
        assert!(status == 403 && answer.contains("this form is of another session"), "{answer}");
    }
    let (before, ended) = (admin.token(), admin.with_header("x-kept", "cookie"));
    admin.acts("/logout", "");
    let (status, answer) = posts(&ended, &before, "agree");
    assert!(status == 303 && answer.contains("location: /login"), "a session that has ended: {answer}");
    admin.login("B-admin", "493817");
    assert_eq!(posts(&admin, &before, "agree").0, 403, "its secret in the next session");
    let elsewhere = admin.with_header("origin", "https://evil.example");
    assert_eq!(posts(&elsewhere, &admin.token(), "agree").0, 403);
    assert!(is_held(&engineer));
    assert_eq!(posts(&admin, &admin.token(), "agree").0, 303);
    assert!(word(&engineer).contains("Passed ○"), "with all of it right");
}

#[test]
fn without_logins_one_person_in_other_letters_is_no_second_one() {
    let prepared = Prepared::of(&["smoke"]).ends("SRV1", VerdictWord::Held);
    let (bench, _floor) = Bench::after(&[], |data| prepared.keep(data));
    let decide = |second: &str| {
        bench.sends("/units/SRV1/decide?lang=en", &format!("by=sato&what=release&why=x&second={second}"))
    };
    // Nobody, the same, in capitals, in wide letters, with a space of no width.
    for second in ["", "sato", "+SATO+", "%EF%BD%93%EF%BD%81%EF%BD%94%EF%BD%8F", "sa%E2%80%8Bto"] {
        let to = decide(second);
        assert!(to.contains("told=refused") && bench.get(&to).1.contains("takes two persons"), "{second}: {to}");
    }
    assert!(!decide("mori").contains("told="));
    assert!(bench.get("/units/SRV1?lang=ja").1.contains("合格 ○"));
}
