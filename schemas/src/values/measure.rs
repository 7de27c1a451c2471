//! How much: exposures, quantities, answers, and the one block of results that stages and
//! checkpoints share.

use super::{Duration, record, words};
use crate::id::{Decimal, LocalDate};

words!(
    /// What kind of exposure.
    ExposureKind {
        Percent = "percent",
        PercentRange = "percent_range",
        /// A number of users.
        Count = "count",
        /// Named actors of the flag.
        Actors = "actors",
        /// Friends and family, early adopters, an allowlist.
        Cohort = "cohort",
        Facility = "facility",
        Organisation = "organisation",
        /// Whoever finds the page or the link.
        Reach = "reach",
        All = "all",
        Off = "off",
    }
);

words!(
    /// What a percentage or a count is of.
    ExposureUnit {
        Users = "users",
        LoggedIn = "logged_in",
        Visitors = "visitors",
        Messages = "messages",
        Submissions = "submissions",
        Time = "time",
    }
);

record!(
    /// Who gets the feature at some stage.
    Exposure {
        /// Percent, count, cohort, facility, all, ...
        req kind: ExposureKind,
        /// Least share in basis points (1 % = 100), 0 to 10,000.
        opt min_bp: u32,
        /// Greatest share in basis points.
        opt max_bp: u32,
        /// The head count; beside a percentage, the head count expected.
        opt count: u64,
        /// What the percentage or the count is of.
        opt unit: ExposureUnit,
        /// Which part of the product or of the users.
        opt scope: String,
        /// Which platform: `web`, `ios`, `android`.
        opt platform: String,
        /// A condition that the plan sets: `dependent on canary results`.
        opt condition: String,
        /// Whether it is reached in steps within the stage.
        opt stepwise: bool,
        /// The words of the source.
        opt raw: String,
    }
);

words!(
    /// How the number relates to the truth.
    Qualifier { Exact = "exact", Lt = "lt", Le = "le", Gt = "gt", Ge = "ge", Range = "range" }
);

words!(
    /// Which statistic a number is.
    Statistic {
        Mean = "mean", Median = "median", P50 = "p50", P75 = "p75", P90 = "p90", P95 = "p95",
        P99 = "p99", Min = "min", Max = "max", Sum = "sum",
    }
);

record!(
    /// A number as people write it: the raw text always, what could be understood beside it.
    Quantity {
        /// The words of the source.
        req raw: String,
        /// The number, when it is one.
        opt value: Decimal,
        /// Lower end, when it is a range.
        opt min: Decimal,
        /// Upper end, when it is a range.
        opt max: Decimal,
        /// How the number relates to the truth: exact, less than, ...
        opt qualifier: Qualifier,
        /// Whether the source says about (`~30`, `≈10`).
        opt approx: bool,
        /// Which statistic it is: mean, median, p95, ...
        opt statistic: Statistic,
        /// `%`, `users`, `seconds`, `clicks`, ...
        opt unit: String,
        /// Of a ratio such as 233/572.
        opt numerator: Decimal,
        /// The lower number of the ratio.
        opt denominator: Decimal,
        /// Where the number comes from: `Datadog`, `Google Analytics`.
        opt source: String,
    }
);

words!(
    /// An answer to a yes-or-no question.
    AnswerValue { Yes = "yes", No = "no", NotApplicable = "not_applicable", Other = "other" }
);

record!(
    /// An answer and the words it was given in.
    Answer {
        /// The words of the source.
        req raw: String,
        /// Yes, no, not applicable, or something else.
        req value: AnswerValue,
        /// What stands behind the yes or no.
        opt detail: String,
    }
);

record!(
    /// One named measurement.
    MetricValue {
        /// The plan's own name for it.
        req name: String,
        /// The number that was observed.
        req quantity: Quantity,
        /// The baseline or the goal that stands beside it.
        opt goal: Quantity,
    }
);

record!(
    /// How often one category of an answer occurred.
    CategoryCount {
        /// The category.
        req label: String,
        /// How often it occurred.
        req quantity: Quantity,
    }
);

record!(
    /// Something labelled that fits no other member.
    LabelledText {
        /// The label, in the words of the source.
        req label: String,
        /// What stands behind it.
        req raw: String,
    }
);

record!(
    /// What a stage or a checkpoint showed. One block for both.
    Results {
        /// The first day that the numbers cover.
        opt from: LocalDate,
        /// The last day that the numbers cover.
        opt to: LocalDate,
        /// How many different users.
        opt unique_users: Quantity,
        /// Measurements under the plan's own names.
        list metrics: MetricValue,
        /// How many bugs were found.
        opt bugs_identified: Quantity,
        /// How many of them were fixed.
        opt bugs_fixed: Quantity,
        /// Was any downstream service affected?
        opt downstream: Answer,
        /// Any issues with handling or processing what was submitted?
        opt processing: Answer,
        /// Types of errors logged, each in the words of the source.
        list error_types: String,
        /// Are changes necessary?
        opt changes_needed: Answer,
        /// How long requests took.
        opt latency: Quantity,
        /// How long the stage really took.
        opt length: Duration,
        /// KPI actuals against their goals.
        list goals: MetricValue,
        /// What fits no other member.
        list other: LabelledText,
    }
);
