//! What may be chosen: some parameters, the values of each, and which of them go together.

use core::fmt;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use serde::{Deserialize, Serialize};

use super::TuneError;
use crate::parameter::{Kind, Origin, ParameterSet, Value};

/// The most values of one parameter.
pub const LEVELS_MAX: usize = 4096;

/// Draws for each setup of a design: the one farthest from those before it is taken.
const CANDIDATES: usize = 16;

/// How far apart two words of a choice are, where the ends of a range are 1 apart.
const WORDS_APART: f64 = 0.6;

/// Steps to either side along a range.
const STEPS: [isize; 4] = [-2, -1, 1, 2];

/// One parameter that can be tuned, as its scenario names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunable {
    /// The parameter.
    pub name: &'static str,
    /// Its values, as they are set.
    pub values: Vec<String>,
}

impl Tunable {
    /// Powers of two from `first` to `last`.
    pub fn log2(name: &'static str, first: u64, last: u64) -> Tunable {
        let next = |value: &u64| value.checked_mul(2).filter(|value| *value <= last);
        let values = core::iter::successors(Some(first.next_power_of_two()), next);
        Tunable { name, values: values.map(|value| value.to_string()).collect() }
    }

    /// Whole numbers from `first` to `last`.
    pub fn integers(name: &'static str, first: u64, last: u64) -> Tunable {
        Tunable { name, values: (first..=last).map(|value| value.to_string()).collect() }
    }

    /// These values: words, or points of a range.
    pub fn values(name: &'static str, values: &[&str]) -> Tunable {
        Tunable { name, values: values.iter().map(|value| (*value).to_owned()).collect() }
    }
}

/// One parameter that is tuned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dimension {
    /// The parameter.
    pub name: String,
    /// Whether its values lie on a line, so that neighbours are alike.
    pub ordered: bool,
    /// The values that it may take, each once; ordered ones rise.
    pub levels: Vec<String>,
    /// Where among them the default is.
    pub default: usize,
}

impl Dimension {
    /// The parameter `name` of `parameters` with `values`, and with the value that it has there:
    /// its default, which is always among the levels.
    ///
    /// # Errors
    /// [`TuneError`] for a name or a value that does not exist, and for too many values.
    pub fn new(
        name: &str,
        values: &[String],
        parameters: &ParameterSet,
    ) -> Result<Dimension, TuneError> {
        let mut probe = parameters.clone();
        let mut levels: Vec<Value> = Vec::new();
        for text in values {
            probe.set(name, text, Origin::Flag("--param".to_owned()))?;
            let value = probe.setting(name).value;
            if !levels.contains(&value) {
                levels.push(value);
            }
        }
        let setting = parameters.setting(name);
        if !levels.contains(&setting.value) {
            levels.insert(0, setting.value);
        }
        if levels.len() > LEVELS_MAX {
            return Err(TuneError::TooManyLevels { name: name.to_owned() });
        }
        let ordered = !matches!(setting.parameter.kind, Kind::Choice(_) | Kind::Flag);
        if ordered {
            levels.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
        }
        let default = levels.iter().position(|level| *level == setting.value);
        Ok(Dimension {
            name: name.to_owned(),
            ordered,
            default: default.expect("the default was put among the levels"),
            levels: levels.iter().map(Value::to_string).collect(),
        })
    }
}

/// Where a value lies on its line.
fn rank(value: &Value) -> f64 {
    match value {
        Value::Integer(number) | Value::Size(number) => *number as f64,
        Value::Duration(span) => span.as_secs_f64(),
        Value::Rate(number) | Value::Share(number) => *number,
        Value::Choice(_) | Value::Flag(_) => 0.0,
    }
}

/// One level of each dimension, in the order of the space.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Setup(pub Vec<usize>);

/// Which setups go together.
type Rule = Box<dyn Fn(&Setup) -> bool>;

/// All that may be chosen.
pub struct Space {
    dimensions: Vec<Dimension>,
    rule: Rule,
}

impl Space {
    /// All combinations of `dimensions` that pass `rule`; no other is ever proposed. The defaults
    /// have to pass it.
    ///
    /// # Errors
    /// [`TuneError::Empty`] where there is nothing to choose between.
    pub fn new(
        dimensions: Vec<Dimension>,
        rule: impl Fn(&Setup) -> bool + 'static,
    ) -> Result<Space, TuneError> {
        if dimensions.iter().all(|dimension| dimension.levels.len() < 2) {
            return Err(TuneError::Empty);
        }
        let space = Space { dimensions, rule: Box::new(rule) };
        assert!(space.is_valid(&space.defaults()), "the defaults go together");
        Ok(space)
    }

    /// What is chosen.
    pub fn dimensions(&self) -> &[Dimension] {
        &self.dimensions
    }

    /// The default of each dimension.
    pub fn defaults(&self) -> Setup {
        Setup(self.dimensions.iter().map(|dimension| dimension.default).collect())
    }

    /// Whether the setup is one of the space.
    pub fn is_valid(&self, setup: &Setup) -> bool {
        let within = setup.0.iter().zip(&self.dimensions).all(|(at, d)| *at < d.levels.len());
        within && setup.0.len() == self.dimensions.len() && (self.rule)(setup)
    }

    /// The parameters that the setup sets, with their values.
    pub fn settings<'a>(&'a self, setup: &'a Setup) -> impl Iterator<Item = (&'a str, &'a str)> {
        let each = self.dimensions.iter().zip(&setup.0);
        each.map(|(dimension, at)| (dimension.name.as_str(), dimension.levels[*at].as_str()))
    }

    /// How far apart the two are along a dimension, 0 to 1.
    pub fn gap(&self, dimension: usize, a: &Setup, b: &Setup) -> f64 {
        let (a, b) = (a.0[dimension], b.0[dimension]);
        let Dimension { ordered, levels, .. } = &self.dimensions[dimension];
        match ordered {
            _ if a == b => 0.0,
            true => a.abs_diff(b) as f64 / (levels.len() - 1) as f64,
            false => WORDS_APART,
        }
    }

    /// Every setup, where there are at most `most` combinations; `None` where there are more.
    pub fn all(&self, most: usize) -> Option<Vec<Setup>> {
        let sizes = || self.dimensions.iter().map(|dimension| dimension.levels.len());
        let product = sizes().try_fold(1_usize, |product, size| product.checked_mul(size));
        let combinations = product.filter(|product| *product <= most)?;
        let nth = |mut rest: usize| {
            let digit = |size: usize| {
                let at = rest % size;
                rest /= size;
                at
            };
            Setup(sizes().map(digit).collect())
        };
        Some((0..combinations).map(nth).filter(|setup| self.is_valid(setup)).collect())
    }

    /// Up to `count` setups that fill the space, without those of `taken`: each is the farthest of
    /// some drawn at random from all before it (Mitchell 1991, best-candidate sampling).
    pub fn spread(&self, count: usize, taken: &[Setup], random: &mut ChaCha8Rng) -> Vec<Setup> {
        let mut chosen: Vec<Setup> = taken.to_vec();
        for _ in 0..count {
            let drawn: Vec<Setup> = (0..CANDIDATES).map(|_| self.drawn(random)).collect();
            let drawn = drawn.into_iter();
            let fresh = drawn.filter(|setup| self.is_valid(setup) && !chosen.contains(setup));
            let nearest = |setup: &Setup| {
                let all = chosen.iter().map(|other| self.distance(setup, other));
                all.fold(f64::INFINITY, f64::min)
            };
            let farthest = fresh.map(|setup| (nearest(&setup), setup));
            let farthest = farthest.max_by(|(a, _), (b, _)| a.total_cmp(b));
            chosen.extend(farthest.map(|(_, setup)| setup));
        }
        chosen.split_off(taken.len())
    }

    /// The setups beside this one: a step or two along one dimension or another word, and every two
    /// single steps together, which is how a limit is followed.
    pub fn neighbours(&self, setup: &Setup) -> Vec<Setup> {
        let mut beside: Vec<Setup> = Vec::new();
        let add = |setup: Setup, beside: &mut Vec<Setup>| {
            if self.is_valid(&setup) && !beside.contains(&setup) {
                beside.push(setup);
            }
        };
        for first in 0..self.dimensions.len() {
            for (one, wide) in self.moves(setup, first) {
                add(one.clone(), &mut beside);
                let others = if wide { 0..0 } else { first + 1..self.dimensions.len() };
                for second in others {
                    let narrow = self.moves(&one, second).into_iter().filter(|(_, wide)| !wide);
                    narrow.for_each(|(both, _)| add(both, &mut beside));
                }
            }
        }
        beside
    }

    /// What one change along `dimension` leads to, and whether it is more than a single step.
    fn moves(&self, setup: &Setup, dimension: usize) -> Vec<(Setup, bool)> {
        let Dimension { ordered, levels, .. } = &self.dimensions[dimension];
        let at = setup.0[dimension];
        let to: Vec<(usize, bool)> = if *ordered {
            let reached = |step: &isize| Some((at.checked_add_signed(*step)?, step.abs() > 1));
            STEPS.iter().filter_map(reached).filter(|(to, _)| *to < levels.len()).collect()
        } else {
            (0..levels.len()).filter(|to| *to != at).map(|to| (to, false)).collect()
        };
        let moved = |(to, wide): (usize, bool)| {
            let mut moved = setup.clone();
            moved.0[dimension] = to;
            (moved, wide)
        };
        to.into_iter().map(moved).collect()
    }

    fn drawn(&self, random: &mut ChaCha8Rng) -> Setup {
        let level =
            |dimension: &Dimension| (random.next_u64() % dimension.levels.len() as u64) as usize;
        Setup(self.dimensions.iter().map(level).collect())
    }

    fn distance(&self, a: &Setup, b: &Setup) -> f64 {
        (0..self.dimensions.len()).map(|d| self.gap(d, a, b).powi(2)).sum()
    }
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Space").field("dimensions", &self.dimensions).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::parameter::Parameter;
    use core::time::Duration;

    fn parameters() -> ParameterSet {
        let linger = Duration::from_micros(500);
        ParameterSet::new(vec![
            Parameter::integer("batch", "requests", 1..=1024, 100, ""),
            Parameter::duration("linger", Duration::ZERO..=Duration::from_secs(1), linger, ""),
            Parameter::choice("path", ["fast", "slow"], ""),
        ])
    }

    fn space() -> Space {
        let parameters = parameters();
        let tunable = [
            Tunable::log2("batch", 16, 256),
            Tunable::values("linger", &["2ms", "0s"]),
            Tunable::values("path", &["fast", "slow"]),
        ];
        let dimension = |one: &Tunable| Dimension::new(one.name, &one.values, &parameters).unwrap();
        // The slow path takes no batch below the third level.
        let rule = |setup: &Setup| setup.0[2] == 0 || setup.0[0] >= 2;
        Space::new(tunable.iter().map(dimension).collect(), rule).unwrap()
    }

    #[test]
    fn levels_rise_are_there_once_and_hold_the_default() {
        let space = space();
        let levels: Vec<&[String]> = space.dimensions().iter().map(|d| &d.levels[..]).collect();
        assert_eq!(levels[0], ["16", "32", "64", "100", "128", "256"]);
        assert_eq!(levels[1], ["0s", "500us", "2ms"]);
        assert_eq!(
            (levels[2], space.defaults()),
            (&["fast", "slow"].map(String::from)[..], Setup(vec![3, 1, 0]))
        );
    }

    #[test]
    fn nothing_that_does_not_go_together_is_proposed() {
        let space = space();
        let mut random = fixture::random(7, 0);
        let drawn = space.spread(20, &[], &mut random);
        assert!(drawn.len() > 15, "{drawn:?}");
        let all = space.all(36).unwrap();
        assert_eq!((all.len(), space.all(35)), (30, None));
        let beside = all.iter().flat_map(|setup| space.neighbours(setup));
        for setup in drawn.into_iter().chain(beside) {
            assert!(all.contains(&setup), "{setup:?}");
        }
    }

    #[test]
    fn neighbours_are_steps_words_and_pairs_of_single_steps() {
        let space = space();
        let beside = space.neighbours(&Setup(vec![0, 0, 0]));
        let expected = [[1, 0, 0], [1, 1, 0], [2, 0, 0], [0, 1, 0], [0, 2, 0]];
        assert_eq!(beside, expected.map(|levels| Setup(levels.to_vec())));
        assert!(!beside.contains(&Setup(vec![0, 0, 0])));
    }

    #[test]
    fn a_value_or_a_name_that_does_not_exist_is_refused() {
        let of = |name: &str, value: &str| {
            Dimension::new(name, &[value.to_owned()], &parameters()).unwrap_err().to_string()
        };
        assert!(of("batch", "4096").contains("is out of range"));
        assert!(of("bach", "4").contains("did you mean batch?"));
        let one = Dimension::new("path", &["fast".to_owned()], &parameters()).unwrap();
        assert_eq!(Space::new(vec![one], |_| true).unwrap_err(), TuneError::Empty);
    }
}
