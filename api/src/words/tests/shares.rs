//! Exposures.

use schemas::values::Exposure;

use super::super::*;
use super::check;

fn show_exposure(exposure: &Exposure) -> String {
    let mut shown = vec![exposure.kind.to_string()];
    match (exposure.min_bp, exposure.max_bp) {
        (Some(min), Some(max)) if min == max => shown.push(format!("{min}bp")),
        (None, None) => {}
        (min, max) => {
            let end = |bp: Option<u32>| bp.map_or(String::new(), |bp| bp.to_string());
            shown.push(format!("{}..{}bp", end(min), end(max)));
        }
    }
    shown.extend(exposure.count.map(|count| format!("n={count}")));
    shown.extend(exposure.unit.map(|unit| unit.to_string()));
    shown.extend(exposure.platform.clone());
    shown.extend(exposure.stepwise.map(|_| "stepwise".to_owned()));
    shown.extend(exposure.condition.as_ref().map(|condition| format!("[{condition}]")));
    shown.extend(exposure.scope.as_ref().map(|scope| format!("<{scope}>")));
    shown.join(" ")
}

#[test]
fn who_gets_it() {
    check(
        &[
            ("5% of users", "percent 500bp users"),
            ("100%", "percent 10000bp"),
            ("10%", "percent 1000bp"),
            ("0%", "percent 0bp"),
            (".5%", "percent 50bp"),
            ("0.25 %", "percent 25bp"),
            ("0.125%", "percent"),
            ("110%", ""),
            (
                "30-60% (dependent on early results)",
                "percent_range 3000..6000bp [dependent on early results]",
            ),
            ("10-50%, raised gradually", "percent_range 1000..5000bp stepwise"),
            ("60-30%", ""),
            ("at most 10%", "percent_range ..1000bp"),
            ("5% (~430 users)", "percent 500bp n=430"),
            ("5% (7500)", "percent 500bp n=7500"),
            ("10% (", "percent 1000bp"),
            ("25% (x users)", "percent 2500bp"),
            ("25% (80 users per day)", "percent 2500bp"),
            ("x% (500 users)", ""),
            ("40% of daily submissions, approximately 70 users", "percent 4000bp n=70 submissions"),
            ("20% of daily submissions, 10-15 users", "percent 2000bp submissions"),
            (
                "10% of logged in users, so that a link shows for 2-3% of users",
                "percent 1000bp logged_in",
            ),
            (
                "50% of the time people see the new page (1,000 users a month)",
                "percent 5000bp time",
            ),
            ("50% of users (auth users only)", "percent 5000bp logged_in <auth users only>"),
            ("20% reached 400 users in about 30 hrs", "percent 2000bp"),
            ("30% of users out of ~600 = ~180 forms (3 days)", "percent 3000bp users"),
            ("Friends and family testing and 5% of users", "cohort; percent 500bp users"),
            ("5% of users and 2 facilities", "percent 500bp users; facility n=2"),
            ("Stage A: 25% of users", "percent 2500bp users"),
            ("Phase 2: 50% of users", "percent 5000bp users"),
            ("Phase II: 10-50%", "percent_range 1000..5000bp"),
            ("10% of users on 3/12 (Tuesday)", "percent 1000bp users"),
            ("25%/50%/75%", "percent 2500bp; percent 5000bp; percent 7500bp"),
            ("5% -> 10%", "percent 500bp; percent 1000bp"),
            ("10% of Android users", "percent 1000bp"),
            ("10% of users on iOS", "percent 1000bp users ios"),
            ("10% of users at one hospital", "percent 1000bp users <at one hospital>"),
            ("50% if all goes well", "percent 5000bp [if all goes well]"),
            ("2 facilities", "facility n=2"),
            ("two facilities", "facility n=2"),
            ("3 users", "count n=3 users"),
            ("~1,200 Veterans", "count n=1200 users"),
            ("3 named users", "actors n=3"),
            ("10 submissions", "count n=10 submissions"),
            ("everyone", "all"),
            ("All users", "all"),
            ("off", "off"),
            ("friends & family", "cohort"),
            ("anyone with the link", "reach"),
            ("Error rate below 5%", ""),
            ("50", ""),
            ("TBD", ""),
            ("", ""),
            ("as agreed with the team", ""),
        ],
        |text| exposures(text).iter().map(show_exposure).collect::<Vec<_>>().join("; "),
    );
    assert_eq!(exposures(" 5% of *users*")[0].raw.as_deref(), Some(" 5% of *users*"));
    assert_eq!(exposures("5% and 3 users")[1].raw.as_deref(), Some("3 users"));
}
