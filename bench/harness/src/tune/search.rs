//! The search: what to measure next, from what has been measured.
//!
//! [`Search::next_ask`] asks, [`Search::tell`] answers; there is neither clock nor machine in it,
//! and equal answers lead to equal questions. The order of things:
//!
//! 1. the **defaults**, twice and shortly: what a measurement costs follows from them;
//! 2. **successive halving** (Jamieson and Talwalkar 2016): setups spread over the space, or all of
//!    them where they are few, are measured shortly; the better third is measured again for twice
//!    as long, twice;
//! 3. **refinement**: the best of what is left is measured in turn with the most promising
//!    neighbours of its own and of another one that is left, until none promises anything or the
//!    time is up; where nothing keeps the limits, those are asked first that exceed them less, to the
//!    end of the budget;
//! 4. **confirmation**: the best and the defaults in turn, pair by pair, on seeds that nothing was
//!    chosen by. Its time is set aside from the start.

use core::time::Duration;

use quorumark_report::compare::judge::PAIRS_MIN;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::ask::{Ask, Plan, Reading, Sample, Stage};
use super::confirm::Confirmation;
use super::costs::Costs;
use super::goal::Goal;
use super::model::{Model, Seen};
use super::outcome::Outcome;
use super::space::{Setup, Space};
use crate::fixture;

/// Measurements of the defaults at the start.
const REFERENCES: usize = 2;
/// Rounds of halving, and the part of the longest span that each measures for.
const RUNG_SPANS: [f64; 3] = [0.25, 0.5, 1.0];
/// Of so many setups one is kept in each round.
const KEPT_OF: usize = 3;
/// Combinations that are all tried, where the time allows it.
const GRID_MAX: usize = 4096;
/// The most setups of the first round.
const ARMS_MAX: usize = 200;
/// The defaults are measured again after so many others.
const ANCHOR_EVERY: usize = 5;
/// The share of the search, confirmation left aside, that halving may take.
const HALVING_SHARE: f64 = 0.5;
/// The part of the longest span that refinement measures for.
const REFINEMENT_SPAN: f64 = 0.5;
/// A turn that promises less than this share is not worth its time; after so many it is enough.
const PROMISE_MIN: f64 = 0.002;
const IDLE_MAX: u32 = 2;
/// The most pairs: up to these the sign-flip test tries every choice of signs.
const PAIRS_MAX: usize = 16;
/// The largest share of the budget that is set aside for pairs, and how much more than expected.
const RESERVE_MAX: f64 = 0.45;
const RESERVE_SLACK: f64 = 1.1;
/// How often a measurement that was disturbed is asked for again.
const RETRIES: u32 = 2;
/// The streams of the plan's seed: choices, workloads of the search, fresh ones.
const CHOICES: u64 = 0x7475_6e65;
const SEARCHED: u64 = CHOICES + (1 << 32);
const FRESH: u64 = CHOICES + (2 << 32);

/// A search that is going on.
#[derive(Debug)]
pub struct Search {
    space: Space,
    goal: Goal,
    plan: Plan,
    random: ChaCha8Rng,
    spent: Duration,
    costs: Costs,
    /// What is to be measured before anything else is decided, the next one last.
    queue: Vec<Planned>,
    asked: Option<(Ask, Planned)>,
    measured: Vec<(Ask, Sample)>,
    seen: Vec<Seen>,
    /// What cannot do what is asked.
    barred: Vec<Setup>,
    /// What is left in the search.
    in_play: Vec<Setup>,
    /// The same by where it came from: what halving left, and what was found beside it.
    hills: Vec<Vec<Setup>>,
    idle: u32,
    /// Whether nothing can keep the limits, as far as is known: there is nothing to confirm then.
    hopeless: bool,
    stage: Option<Stage>,
    confirmation: Option<Confirmation>,
    /// What the confirmation threw out.
    rejected: Vec<Setup>,
    ended: bool,
}

/// A measurement that will be asked for.
#[derive(Debug, Clone)]
struct Planned {
    setup: Setup,
    span: Duration,
    seed: u64,
    stage: Stage,
    retries: u32,
}

impl Search {
    /// A search that has measured nothing yet.
    pub fn new(space: Space, goal: Goal, plan: Plan) -> Search {
        let random = fixture::random(plan.seed, CHOICES);
        Search {
            space,
            goal,
            random,
            plan,
            spent: Duration::ZERO,
            costs: Costs::default(),
            queue: Vec::new(),
            asked: None,
            measured: Vec::new(),
            seen: Vec::new(),
            barred: Vec::new(),
            in_play: Vec::new(),
            hills: Vec::new(),
            idle: 0,
            hopeless: false,
            stage: None,
            confirmation: None,
            rejected: Vec::new(),
            ended: false,
        }
    }

    /// What to measure next; the same until it is told. `None` at the end.
    pub fn next_ask(&mut self) -> Option<Ask> {
        while self.asked.is_none() && !self.ended {
            match self.queue.pop() {
                Some(planned) if self.fits(&planned) => {
                    let Planned { setup, span, seed, stage, .. } = planned.clone();
                    let number = self.measured.len() as u32;
                    self.asked = Some((Ask { number, setup, span, seed, stage }, planned));
                }
                // What does not fit ends the stage: nothing later in it is shorter.
                Some(_) => self.queue.clear(),
                None => self.advance(),
            }
        }
        self.asked.as_ref().map(|(ask, _)| ask.clone())
    }

    /// What came of the measurement that was asked for.
    ///
    /// # Panics
    /// When nothing was asked for.
    pub fn tell(&mut self, sample: Sample) {
        let (ask, planned) = self.asked.take().expect("an answer has its question");
        let cost = Duration::from_nanos(sample.cost_ns);
        let middle = self.spent + cost / 2;
        self.spent += cost;
        match &sample.reading {
            Reading::Figures(metrics) => match self.goal.channels(metrics) {
                Some(channels) => {
                    self.costs.add(ask.span, cost);
                    let at = middle.as_nanos() as f64 / self.plan.budget_ns.max(1) as f64;
                    let longest = Duration::from_nanos(self.plan.span_ns).as_secs_f64();
                    let weight = ask.span.as_secs_f64() / longest;
                    self.seen.push(Seen { setup: ask.setup.clone(), at, weight, channels });
                    if let (Stage::Confirmation { pair }, Some(found)) =
                        (ask.stage, &mut self.confirmation)
                    {
                        found.add(pair, &ask.setup, metrics);
                    }
                }
                None => self.barred.push(ask.setup.clone()),
            },
            Reading::Refused(_) => self.barred.push(ask.setup.clone()),
            Reading::Disturbed(_) if planned.retries < RETRIES => {
                self.queue.push(Planned { retries: planned.retries + 1, ..planned });
            }
            Reading::Disturbed(_) => {}
        }
        self.measured.push((ask, sample));
    }

    /// What is known now: at the end the result, before it the best so far.
    pub fn outcome(&self) -> Outcome {
        Outcome::of(self)
    }

    /// Every measurement, in order.
    pub fn measured(&self) -> &[(Ask, Sample)] {
        &self.measured
    }

    /// What is searched.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// What is asked for.
    pub fn goal(&self) -> &Goal {
        &self.goal
    }

    /// What all measurements together have taken.
    pub fn spent(&self) -> Duration {
        self.spent
    }

    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    pub(super) fn confirmation(&self) -> Option<&Confirmation> {
        self.confirmation.as_ref()
    }

    /// What the measurements say, where any counts.
    pub(super) fn model(&self) -> Option<Model<'_>> {
        (!self.seen.is_empty()).then(|| Model::fit(&self.space, &self.seen))
    }

    /// What may be recommended: all that is left in the search, and the defaults.
    pub(super) fn candidates(&self) -> Vec<Setup> {
        let defaults = self.space.defaults();
        let others = self.in_play.iter().filter(|setup| **setup != defaults).cloned();
        let mut candidates: Vec<Setup> = core::iter::once(defaults.clone()).chain(others).collect();
        candidates.retain(|setup| !self.barred.contains(setup) && !self.rejected.contains(setup));
        candidates
    }

    fn budget(&self) -> Duration {
        Duration::from_nanos(self.plan.budget_ns)
    }

    fn span(&self, part: f64) -> Duration {
        Duration::from_nanos(self.plan.span_ns).mul_f64(part)
    }

    /// The time that is set aside for the least number of pairs.
    fn reserve(&self) -> Duration {
        let pairs = self.costs.of(self.span(1.0)).mul_f64(2.0 * PAIRS_MIN as f64 * RESERVE_SLACK);
        pairs.min(self.budget().mul_f64(RESERVE_MAX))
    }

    /// When the stage has to be over.
    fn end_of(&self, stage: Stage) -> Duration {
        let search = self.budget() - self.reserve();
        match stage {
            Stage::Reference | Stage::Halving { .. } => search.mul_f64(HALVING_SHARE),
            Stage::Refinement { .. } if self.hopeless => self.budget(),
            Stage::Refinement { .. } => search,
            Stage::Confirmation { .. } => self.budget(),
        }
    }

    fn fits(&self, planned: &Planned) -> bool {
        let first = self.measured.is_empty();
        // A pair that has begun is ended: whether it fits was asked before.
        let in_pair = matches!(planned.stage, Stage::Confirmation { .. });
        first || in_pair || self.spent + self.costs.of(planned.span) <= self.end_of(planned.stage)
    }

    /// Decides what comes after all that was asked for.
    fn advance(&mut self) {
        match self.stage {
            None => self.begin(),
            Some(Stage::Reference) => self.draw(),
            Some(Stage::Halving { rung }) => self.halve(rung),
            Some(Stage::Refinement { block }) => self.refine(block + 1),
            Some(Stage::Confirmation { pair }) => self.confirm(pair + 1),
        }
    }

    fn begin(&mut self) {
        let references = vec![self.space.defaults(); REFERENCES];
        self.plan_all(references, RUNG_SPANS[0], Stage::Reference);
    }

    /// The setups of the first round: all there are, or as many as the time allows.
    fn draw(&mut self) {
        let defaults = self.space.defaults();
        let cost = |part: f64| self.costs.of(self.span(part)).as_secs_f64();
        let anchors = 1.0 + 1.0 / ANCHOR_EVERY as f64;
        let each: f64 = (0..)
            .zip(RUNG_SPANS)
            .map(|(rung, part)| cost(part) * anchors / KEPT_OF.pow(rung) as f64)
            .sum();
        let left = self.end_of(Stage::Reference).saturating_sub(self.spent).as_secs_f64();
        let count = ((left / each) as usize).clamp(1, ARMS_MAX);
        let all = self.space.all(GRID_MAX).filter(|all| all.len() <= count + 1);
        self.in_play = match all {
            Some(all) => all.into_iter().filter(|setup| *setup != defaults).collect(),
            None => self.space.spread(count, &[defaults], &mut self.random),
        };
        self.round(0);
    }

    /// Plans a round over what is in play, the defaults among it again and again.
    fn round(&mut self, rung: u32) {
        let anchored = !self.barred.contains(&self.space.defaults());
        let mut setups = Vec::new();
        for few in self.in_play.chunks(ANCHOR_EVERY) {
            setups.extend(few.iter().cloned());
            setups.extend(anchored.then(|| self.space.defaults()));
        }
        self.plan_all(setups, RUNG_SPANS[rung as usize], Stage::Halving { rung });
    }

    /// The better third goes on; what is left after the last round is refined.
    fn halve(&mut self, rung: u32) {
        let measured = |setup: &Setup| self.seen.iter().any(|seen| seen.setup == *setup);
        let open = |setup: &Setup| measured(setup) && !self.barred.contains(setup);
        let mut arms: Vec<Setup> = self.in_play.iter().filter(|s| open(s)).cloned().collect();
        let last = rung as usize + 1 == RUNG_SPANS.len();
        if !last {
            let kept = arms.len().div_ceil(KEPT_OF);
            arms = self.model().map(|model| model.ranked(&arms)).unwrap_or_default();
            arms.truncate(kept);
        }
        self.in_play = arms;
        if !last && !self.in_play.is_empty() {
            return self.round(rung + 1);
        }
        self.hills = self.candidates().into_iter().map(|setup| vec![setup]).collect();
        self.refine(0);
    }

    /// One turn: the best setup, its most promising neighbour, and one of another hill's head.
    fn refine(&mut self, block: u32) {
        let stage = Stage::Refinement { block };
        let Some(model) = self.model() else { return self.ended = true };
        let candidates = self.candidates();
        let Some(incumbent) = model.best(&candidates).cloned() else { return self.ended = true };
        let hopeless = !model.judge(&incumbent).is_possible();
        let home = self.hills.iter().position(|hill| hill.contains(&incumbent)).unwrap_or(0);
        let others = self.hills.len() - 1;
        let away = (0..self.hills.len()).filter(|hill| *hill != home);
        let away = away.cycle().nth(block as usize % others.max(1)).filter(|_| others > 0);
        let head = |hill: usize| model.best(&self.hills[hill]).cloned();
        let from = [(home, Some(incumbent.clone())), (away.unwrap_or(home), away.and_then(head))];
        let climbed = from.into_iter().filter_map(|(hill, head)| {
            let (promise, setup) = model.challenger(&head?, &self.barred)?;
            Some((hill, promise, setup))
        });
        let climbed: Vec<(usize, f64, Setup)> = climbed.collect();
        drop(model);
        self.hopeless = hopeless;
        let promised = climbed.iter().map(|(_, promise, _)| *promise).fold(0.0, f64::max);
        // Where nothing keeps the limits yet, time has no better use.
        let enough = promised < PROMISE_MIN && !self.hopeless;
        self.idle = if enough { self.idle + 1 } else { 0 };
        let cost = self.costs.of(self.span(REFINEMENT_SPAN));
        if self.idle >= IDLE_MAX || self.spent + cost > self.end_of(stage) {
            return self.confirm(0);
        }
        let mut turn: Vec<Setup> = Vec::new();
        for (hill, _, setup) in climbed {
            if !self.candidates().contains(&setup) {
                self.hills[hill].push(setup.clone());
                self.in_play.push(setup.clone());
            }
            turn.push(setup);
        }
        let place = self.random.next_u32() as usize % (turn.len() + 1);
        turn.insert(place, incumbent);
        self.plan_all(turn, REFINEMENT_SPAN, stage);
    }

    /// The next pair of the best and the defaults, as long as one fits.
    fn confirm(&mut self, pair: u32) {
        let defaults = self.space.defaults();
        if self.confirmation.as_ref().is_some_and(|found| found.breaks(&self.goal)) {
            self.rejected.extend(self.confirmation.take().map(|found| found.tuned().clone()));
        }
        if self.confirmation.is_none() {
            let Some(model) = self.model() else { return self.ended = true };
            let mut candidates = self.candidates();
            if !model.judge(&defaults).is_likely() {
                candidates.retain(|setup| *setup != defaults);
            }
            // What is possible is held against the limits by the pairs themselves.
            let best = model.best(&candidates).filter(|best| model.judge(best).is_possible());
            let Some(best) = best.filter(|best| **best != defaults).cloned() else {
                return self.ended = true;
            };
            drop(model);
            self.confirmation = Some(Confirmation::new(defaults.clone(), best, self.plan.seed));
        }
        let found = self.confirmation.as_ref().expect("it was just made");
        let both = self.costs.of(self.span(1.0)) * 2;
        if found.len() >= PAIRS_MAX || self.spent + both > self.budget() {
            return self.ended = true;
        }
        let setups = found.next_pair();
        self.plan_all(setups.to_vec(), 1.0, Stage::Confirmation { pair });
    }

    /// Queues `setups` in their order, all on one seed.
    fn plan_all(&mut self, setups: Vec<Setup>, part: f64, stage: Stage) {
        let stream = match stage {
            Stage::Reference => SEARCHED,
            Stage::Halving { rung } => SEARCHED + 1 + u64::from(rung),
            Stage::Refinement { block } => SEARCHED + 1000 + u64::from(block),
            Stage::Confirmation { pair } => FRESH + u64::from(pair),
        };
        let seed = u64::from(fixture::random(self.plan.seed, stream).next_u32());
        let span = self.span(part);
        let planned = |setup| Planned { setup, span, seed, stage, retries: 0 };
        self.queue.extend(setups.into_iter().rev().map(planned));
        self.stage = Some(stage);
    }
}
