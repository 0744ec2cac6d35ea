//! A free permit and a waiter that may have it find each other, without a clock.

use super::site::{Site, assert_balanced, at_once, ripen, settle, sites};
use super::{check, check_bounded};

/// Sites whose handlers are all in use.
fn busy(count: u16, handlers: u32, reserve: u32) -> Vec<Site> {
    let mut sites = sites(count, handlers, reserve);
    for site in &mut sites {
        (0..handlers).for_each(|_| site.ask());
    }
    sites
}

fn nothing(_: &mut Site) {}

#[test]
fn a_waiter_and_the_last_permit_given_back_find_each_other() {
    check("one waiter, one giver", || {
        let sites = at_once(busy(2, 1, 0), vec![Site::ask, Site::finish]);
        assert_balanced(&sites);
        assert_eq!((sites[0].ripe, sites[1].busy), (0, 1));
    });
}

#[test]
fn two_givers_and_one_that_looks_for_both() {
    check_bounded("two waiters of one, two givers", Some(3), || {
        let ask_twice = |site: &mut Site| {
            site.ask();
            site.ask();
            site.handle_events();
        };
        let sites = at_once(busy(3, 1, 0), vec![ask_twice, Site::finish, Site::finish]);
        assert_balanced(&sites);
        assert_eq!(sites[0].ripe, 0);
    });
}

#[test]
fn two_that_wait_and_one_that_gives_two_permits() {
    check_bounded("a waiter of each of two, two permits", Some(3), || {
        let mut sites = busy(3, 2, 0);
        sites[0].ask();
        sites[1].ask();
        let answer = |site: &mut Site| {
            site.handle_events();
        };
        let give_two = |site: &mut Site| {
            site.finish();
            site.finish();
        };
        let sites = at_once(sites, vec![answer, answer, give_two]);
        assert_balanced(&sites);
    });
}

#[test]
fn who_is_told_and_has_nobody_left_tells_the_next() {
    check("the told one's waiter is served meanwhile", || {
        let mut sites = busy(3, 1, 0);
        sites[0].ask();
        sites[1].ask();
        let sites = at_once(sites, vec![Site::finish, nothing, Site::finish]);
        assert_balanced(&sites);
    });
}

#[test]
fn who_is_told_and_has_only_young_waiters_tells_the_next() {
    check(
        "the told one's oldest is served meanwhile, the next is young",
        || {
            let mut sites = busy(3, 1, 0);
            sites[0].ask();
            sites[0].young += 1;
            sites[1].ask();
            let mut sites = at_once(sites, vec![Site::finish, nothing, Site::finish]);
            assert_balanced(&sites);
            ripen(&mut sites);
            assert_balanced(&sites);
        },
    );
}

#[test]
fn a_permit_given_back_from_afar_is_for_whoever_waits_for_it() {
    check("a move is given up while its target begins to wait", || {
        let mut sites = busy(2, 1, 0);
        sites[1].finish();
        sites[0].is_leaving = true;
        sites[0].ask();
        let sites = at_once(sites, vec![Site::abort_moves, Site::ask]);
        assert_balanced(&sites);
    });
}

#[test]
fn a_permit_given_back_from_afar_is_for_third_ones_too() {
    check("a move is given up while a third one begins to wait", || {
        let mut sites = busy(3, 1, 0);
        sites[1].finish();
        sites[0].is_leaving = true;
        sites[0].ask();
        let sites = at_once(sites, vec![Site::abort_moves, nothing, Site::ask]);
        assert_balanced(&sites);
    });
}

#[test]
fn the_reserve_is_kept_and_what_is_above_it_is_found() {
    check("one waiter, a reserve of one, two given back", || {
        let mut sites = busy(2, 2, 1);
        let give_two = |site: &mut Site| {
            site.finish();
            site.finish();
        };
        sites = at_once(sites, vec![Site::ask, give_two]);
        assert_balanced(&sites);
        assert_eq!(sites[0].ripe, 0);
        // The reserve itself is nobody else's.
        sites[0].ask();
        settle(&mut sites);
        assert_eq!((sites[0].ripe, sites[1].free()), (1, 1));
    });
}

#[test]
fn everybody_waits_gives_and_takes() {
    check_bounded("three that ask and finish", Some(2), || {
        let part = |site: &mut Site| {
            site.ask();
            site.finish();
            site.handle_events();
        };
        let sites = at_once(busy(3, 1, 0), vec![part, part, part]);
        assert_balanced(&sites);
    });
}
