//! Sweeps: a scenario at every combination of some parameters' values.
//!
//! A [`Plan`] is all that has to be known to go on with a sweep, to cut it into shards that run
//! anywhere, and to put these together again. Points and their folders follow from it alone, so
//! that shards need not know of each other. What is run and written is the caller's.

mod axis;

use core::fmt;
use core::str::FromStr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::parameter::{Origin, ParameterError, ParameterSet};

pub use axis::{Axis, POINTS_MAX};

/// The version of a plan's JSON form.
pub const PLAN_VERSION: u32 = 1;

/// The file that holds the plan, inside a sweep's folder.
pub const PLAN_FILE: &str = "sweep.json";

/// Characters of a point's settings in the name of its folder.
const FOLDER_CHARS_MAX: usize = 80;

/// What a sweep measures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// [`PLAN_VERSION`] of the writer.
    pub schema_version: u32,
    /// The scenario.
    pub scenario: String,
    /// The arguments of `quorumark run` that all points have in common.
    pub shared: Vec<String>,
    /// The parameters that are swept. Points are in the order of nested loops, the last innermost.
    pub axes: Vec<Axis>,
    /// The part that is measured here.
    pub shard: Shard,
}

/// One of equally large parts of a sweep: points i, i + k, i + 2k, ...
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shard {
    /// Which, from 1.
    pub index: u32,
    /// Of how many.
    pub of: u32,
}

/// One combination of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// Its place in the whole sweep, from 0.
    pub index: usize,
    /// A value for each swept parameter.
    pub settings: Vec<(String, String)>,
}

/// Why a sweep cannot be made, gone on with, or put together. One sentence that says how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SweepError {
    /// A parameter or a value is wrong.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// A range is none.
    #[error("{text}: is no range; write first..last, such as 1..8 or 1..1024*2")]
    Range {
        /// What was given.
        text: String,
    },
    /// A value or a parameter stands twice.
    #[error("{name}: has the value {value} twice; leave one out")]
    Twice {
        /// The parameter.
        name: String,
        /// The value.
        value: String,
    },
    /// A parameter is swept twice.
    #[error("{name}: is swept twice; write its values in one --param")]
    AxisTwice {
        /// The parameter.
        name: String,
    },
    /// There are too many points.
    #[error("a sweep has at most {POINTS_MAX} points, and {points}; leave values out")]
    TooMany {
        /// What has how many.
        points: String,
    },
    /// A shard is none.
    #[error("{text}: is no shard; write i/k with i from 1 to k, such as 2/3")]
    Shard {
        /// What was given.
        text: String,
    },
    /// Two folders are of different sweeps.
    #[error("{a} and {b} are of different sweeps: {difference}; merge shards of one")]
    Different {
        /// The first folder.
        a: PathBuf,
        /// The other.
        b: PathBuf,
        /// In what they differ.
        difference: &'static str,
    },
    /// A shard is not there.
    #[error("shard {shard} is missing; run it with --shard {shard}, or name its folder too")]
    Missing {
        /// Which.
        shard: Shard,
    },
    /// A shard is there twice.
    #[error("shard {shard} is there twice, in {a} and in {b}; leave one out")]
    Doubled {
        /// Which.
        shard: Shard,
        /// The first folder.
        a: PathBuf,
        /// The other.
        b: PathBuf,
    },
}

impl Plan {
    /// A plan of one shard of all combinations of `axes`.
    ///
    /// # Errors
    /// [`SweepError::AxisTwice`] and [`SweepError::TooMany`].
    pub fn new(
        scenario: &str,
        shared: Vec<String>,
        axes: Vec<Axis>,
        shard: Shard,
    ) -> Result<Plan, SweepError> {
        for (place, axis) in axes.iter().enumerate() {
            if axes[..place].iter().any(|other| other.name == axis.name) {
                return Err(SweepError::AxisTwice { name: axis.name.clone() });
            }
        }
        let product = axes.iter().try_fold(1_usize, |n, axis| n.checked_mul(axis.values.len()));
        if product.is_none_or(|points| points > POINTS_MAX) {
            let points = product.map_or("this one more".to_owned(), |n| format!("this one {n}"));
            return Err(SweepError::TooMany { points });
        }
        let (schema_version, scenario) = (PLAN_VERSION, scenario.to_owned());
        Ok(Plan { schema_version, scenario, shared, axes, shard })
    }

    /// Points of the whole sweep.
    pub fn len(&self) -> usize {
        self.axes.iter().map(|axis| axis.values.len()).product()
    }

    /// Whether there are none: never, as a parameter that is swept has values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The command that measures the plan's shard.
    pub fn command(&self) -> String {
        let mut command = format!("quorumark sweep {}", self.scenario);
        // The words behind command and scenario are flags, each with its value.
        for pair in self.shared.get(2..).unwrap_or_default().chunks(2) {
            let [flag, value] = pair else { continue };
            let set = match flag.as_str() {
                "--set" => value.split('=').next().unwrap_or_default(),
                flag => flag.trim_start_matches('-'),
            };
            // What is swept is not set as well, and the seed is among the flags in any case.
            if self.axes.iter().all(|axis| axis.name != set) {
                command.push_str(&format!(" {flag} {value}"));
            }
        }
        for Axis { name, values } in &self.axes {
            command.push_str(&format!(" --param {name}={}", values.join(",")));
        }
        match self.shard {
            Shard::WHOLE => command,
            shard => format!("{command} --shard {shard}"),
        }
    }

    /// The points of the plan's shard.
    pub fn points(&self) -> impl Iterator<Item = Point> + '_ {
        let (first, step) = (self.shard.index as usize - 1, self.shard.of as usize);
        (first..self.len()).step_by(step).map(|index| self.point(index))
    }

    fn point(&self, index: usize) -> Point {
        let mut rest = index;
        let mut settings = Vec::with_capacity(self.axes.len());
        for axis in self.axes.iter().rev() {
            let value = &axis.values[rest % axis.values.len()];
            rest /= axis.values.len();
            settings.push((axis.name.clone(), value.clone()));
        }
        settings.reverse();
        Point { index, settings }
    }

    /// In what two plans differ, shards left aside; `None` where they are of one sweep.
    pub fn difference(&self, other: &Plan) -> Option<&'static str> {
        let same = [
            (self.schema_version == other.schema_version, "the version of the plan"),
            (self.scenario == other.scenario, "the scenario"),
            (self.axes == other.axes, "what is swept"),
            (self.shared == other.shared, "what all points have in common"),
            (self.shard.of == other.shard.of, "the number of shards"),
        ];
        same.into_iter().find_map(|(same, what)| (!same).then_some(what))
    }

    /// The plan of the whole sweep that `shards`, folders and their plans, are parts of.
    ///
    /// # Errors
    /// [`SweepError::Different`], [`SweepError::Doubled`] and [`SweepError::Missing`].
    ///
    /// # Panics
    /// Without shards.
    pub fn merged(shards: &[(PathBuf, Plan)]) -> Result<Plan, SweepError> {
        let (folder, first) = shards.first().expect("something to merge");
        for (place, (other, plan)) in shards.iter().enumerate() {
            if let Some(difference) = first.difference(plan) {
                let (a, b) = (folder.clone(), other.clone());
                return Err(SweepError::Different { a, b, difference });
            }
            let twin = shards[..place].iter().find(|(_, twin)| twin.shard == plan.shard);
            if let Some((a, _)) = twin {
                let (shard, a, b) = (plan.shard, a.clone(), other.clone());
                return Err(SweepError::Doubled { shard, a, b });
            }
        }
        let of = first.shard.of;
        let there = |shard: &Shard| shards.iter().any(|(_, plan)| plan.shard == *shard);
        let mut all = (1..=of).map(|index| Shard { index, of });
        match all.find(|shard| !there(shard)) {
            Some(shard) => Err(SweepError::Missing { shard }),
            None => Ok(Plan { shard: Shard::WHOLE, ..first.clone() }),
        }
    }
}

impl Point {
    /// The folder of its record, inside the sweep's.
    pub fn folder(&self) -> String {
        let settings: String = self.to_string().chars().take(FOLDER_CHARS_MAX).collect();
        format!("{:04}-{}", self.index + 1, settings.replace(' ', ","))
    }

    /// `shared` with the point's values.
    ///
    /// # Errors
    /// [`ParameterError`], which values of a plan that was read from a file can be.
    pub fn parameters(&self, shared: &ParameterSet) -> Result<ParameterSet, ParameterError> {
        let mut parameters = shared.clone();
        for (name, value) in &self.settings {
            parameters.set(name, value, Origin::Flag("--param".to_owned()))?;
        }
        Ok(parameters)
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = self.settings.iter().map(|(name, value)| format!("{name}={value}"));
        f.write_str(&each.collect::<Vec<_>>().join(" "))
    }
}

impl Shard {
    /// All of it.
    pub const WHOLE: Shard = Shard { index: 1, of: 1 };
}

impl FromStr for Shard {
    type Err = SweepError;

    fn from_str(text: &str) -> Result<Shard, SweepError> {
        let parts = text.split_once('/').and_then(|(index, of)| {
            Some(Shard { index: index.parse().ok()?, of: of.parse().ok()? })
        });
        parts
            .filter(|shard| (1..=shard.of).contains(&shard.index))
            .ok_or_else(|| SweepError::Shard { text: text.to_owned() })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(name: &str, values: &[&str]) -> Axis {
        Axis { name: name.to_owned(), values: values.iter().map(|v| (*v).to_owned()).collect() }
    }

    fn plan(shard: &str) -> Plan {
        let axes = vec![axis("size", &["1", "8"]), axis("threads", &["1", "2", "4"])];
        Plan::new("a/b", Vec::new(), axes, shard.parse().unwrap()).unwrap()
    }

    fn merged(shards: &[&str]) -> Result<Plan, String> {
        let shards = shards.iter().zip(1..);
        let shards: Vec<(PathBuf, Plan)> =
            shards.map(|(shard, n)| (format!("s{n}").into(), plan(shard))).collect();
        Plan::merged(&shards).map_err(|error| error.to_string())
    }

    #[test]
    fn points_are_in_the_order_of_nested_loops() {
        let points: Vec<String> = plan("1/1").points().map(|point| point.to_string()).collect();
        assert_eq!(points[0], "size=1 threads=1");
        assert_eq!(points[1], "size=1 threads=2");
        assert_eq!(points[3], "size=8 threads=1");
        assert_eq!(points.len(), 6);
        assert_eq!(plan("1/1").points().nth(4).unwrap().folder(), "0005-size=8,threads=2");
    }

    #[test]
    fn shards_hold_each_point_once_and_merge_to_the_whole() {
        for of in [1, 2, 3, 4, 9] {
            let shards = (1..=of).map(|index| plan(&format!("{index}/{of}")));
            let mut points: Vec<Point> =
                shards.flat_map(|shard| shard.points().collect::<Vec<_>>()).collect();
            points.sort_by_key(|point| point.index);
            assert_eq!(points, plan("1/1").points().collect::<Vec<_>>(), "{of}");
        }
        assert_eq!(merged(&["2/3", "3/3", "1/3"]), Ok(plan("1/1")));
    }

    #[test]
    fn a_plan_is_repeated_by_one_command_that_sets_no_parameter_twice() {
        let shared = ["run", "a/b", "--duration", "1ms", "--set", "auth=mac", "--seed", "42"];
        let shared = shared.map(str::to_owned).to_vec();
        let axes = vec![axis("seed", &["1", "2"]), axis("threads", &["1"])];
        let plan = Plan::new("a/b", shared, axes, "2/3".parse().unwrap()).unwrap();
        let expected = "quorumark sweep a/b --duration 1ms --set auth=mac --param seed=1,2 \
                        --param threads=1 --shard 2/3";
        assert_eq!(plan.command(), expected);
    }

    #[test]
    fn a_missing_or_doubled_shard_is_an_error_that_names_it() {
        let missing = "shard 2/3 is missing; run it with --shard 2/3, or name its folder too";
        assert_eq!(merged(&["1/3", "3/3"]).unwrap_err(), missing);
        let doubled = "shard 1/3 is there twice, in s1 and in s3; leave one out";
        assert_eq!(merged(&["1/3", "2/3", "1/3"]).unwrap_err(), doubled);
        let other = "s1 and s2 are of different sweeps: the number of shards; merge shards of one";
        assert_eq!(merged(&["1/2", "2/3"]).unwrap_err(), other);
    }

    #[test]
    fn what_is_no_shard_is_refused() {
        for text in ["0/3", "4/3", "1", "1/0", "a/b", "-1/3"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
        assert_eq!("2/3".parse(), Ok(Shard { index: 2, of: 3 }));
    }

    #[test]
    fn a_sweep_has_a_bounded_number_of_points_and_each_parameter_once() {
        let values: Vec<String> = (0..200).map(|n| n.to_string()).collect();
        let axis = |name: &str| Axis { name: name.to_owned(), values: values.clone() };
        let of = |axes| Plan::new("a/b", Vec::new(), axes, Shard::WHOLE).map_err(|e| e.to_string());
        let many = of(vec![axis("a"), axis("b")]).unwrap_err();
        assert_eq!(many, "a sweep has at most 10000 points, and this one 40000; leave values out");
        assert!(of(vec![axis("a"), axis("a")]).unwrap_err().contains("is swept twice"));
    }
}
