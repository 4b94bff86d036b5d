//! Threads that share cores: a fair scheduler, as far as a replica's latency hangs on it.
//!
//! Each thread has the time that it ran so far (its virtual run time). Of the threads of a core that
//! could run, the one that ran least does. One that wakes takes the core at once from one that ran
//! longer; two that are busy change places at a tick. A thread that slept is not owed the time in
//! which it did. A thread that may run anywhere takes a free core, and a core that falls free takes
//! it over. This is the idea of Linux's scheduler (CFS, and EEVDF after it), without weights, slices
//! and groups.

/// The cores and the threads on them.
#[derive(Debug)]
pub(super) struct Scheduler {
    cores: Vec<Core>,
    threads: Vec<Thread>,
    tick: u64,
}

#[derive(Debug, Default, Clone)]
struct Core {
    running: Option<usize>,
    /// Since when.
    since: u64,
    ready: Vec<usize>,
    /// The least run time that a thread of the core had: those that wake begin there.
    floor: u64,
    /// How often the core has changed what it does: tells which events are out of date.
    turns: u64,
    /// The tick that is due, while threads wait.
    ticks_at: Option<u64>,
}

#[derive(Debug, Clone)]
struct Thread {
    /// The one core that it may use.
    pinned: Option<usize>,
    /// The core that it used last.
    core: usize,
    ran: u64,
    /// What is left of the work that it has.
    left: u64,
    /// CPU time so far.
    used: u64,
}

/// What a core has to be told next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The thread has been given the core, and has this much work.
    Runs { thread: usize, left: u64 },
    /// Nothing waits for the core.
    Idle,
}

impl Scheduler {
    pub(super) fn new(cores: usize, tick: u64) -> Scheduler {
        let cores = vec![Core::default(); cores.max(1)];
        Scheduler { cores, threads: Vec::new(), tick: tick.max(1) }
    }

    /// A thread that sleeps, on one core where it is pinned; returns its number.
    pub(super) fn spawn(&mut self, pinned: Option<usize>) -> usize {
        let core = pinned.unwrap_or(self.threads.len() % self.cores.len());
        self.threads.push(Thread { pinned, core, ran: 0, left: 0, used: 0 });
        self.threads.len() - 1
    }

    /// CPU time of a thread so far.
    pub(super) fn used(&self, thread: usize) -> u64 {
        self.threads[thread].used
    }

    /// The core that a thread used last.
    pub(super) fn core_of(&self, thread: usize) -> usize {
        self.threads[thread].core
    }

    /// A number that changes whenever the core gets something else to do.
    pub(super) fn turns(&self, core: usize) -> u64 {
        self.cores[core].turns
    }

    pub(super) fn running(&self, core: usize) -> Option<usize> {
        self.cores[core].running
    }

    /// A thread that slept can run. Returns its core, and whether that shall be given to it now.
    pub(super) fn wake(&mut self, thread: usize, now: u64) -> (usize, bool) {
        let core = self.place(thread);
        self.settle(core, now);
        let floor = self.cores[core].floor;
        let woken = &mut self.threads[thread];
        // Run times of another core mean nothing here.
        woken.ran = if woken.core == core { woken.ran.max(floor) } else { floor };
        woken.core = core;
        let ran = woken.ran;
        self.cores[core].ready.push(thread);
        let takes = self.cores[core].running.is_none_or(|other| ran <= self.threads[other].ran);
        (core, takes)
    }

    fn place(&self, thread: usize) -> usize {
        let Thread { pinned, core, .. } = self.threads[thread];
        let is_free = |core: &usize| {
            let core = &self.cores[*core];
            core.running.is_none() && core.ready.is_empty()
        };
        let free = || [core].into_iter().chain(0..self.cores.len()).find(is_free);
        pinned.or_else(free).unwrap_or(core)
    }

    /// Gives the core to the thread that ran least; the one that has it goes on waiting.
    pub(super) fn switch(&mut self, core: usize, now: u64) -> Next {
        self.settle(core, now);
        if let Some(thread) = self.cores[core].running.take() {
            // It had work, and has not been told yet that this is done.
            self.threads[thread].left = self.threads[thread].left.max(1);
            self.cores[core].ready.push(thread);
        }
        self.start(core, now)
    }

    /// The thread that has the core sleeps: it has no work left.
    pub(super) fn sleep(&mut self, core: usize, now: u64) -> Next {
        self.settle(core, now);
        self.cores[core].running = None;
        self.start(core, now)
    }

    /// The thread that has the core gets `work`.
    pub(super) fn work(&mut self, core: usize, now: u64, work: u64) {
        self.settle(core, now);
        self.cores[core].turns += 1;
        if let Some(thread) = self.cores[core].running {
            self.threads[thread].left = work;
        }
    }

    fn start(&mut self, core: usize, now: u64) -> Next {
        self.cores[core].turns += 1;
        if self.cores[core].ready.is_empty() {
            self.pull(core);
        }
        let ran = |place: &usize| self.threads[self.cores[core].ready[*place]].ran;
        let Some(place) = (0..self.cores[core].ready.len()).min_by_key(ran) else {
            return Next::Idle;
        };
        // In order: of two that ran equally long the one that waited longer runs.
        let thread = self.cores[core].ready.remove(place);
        let state = &mut self.cores[core];
        (state.running, state.since) = (Some(thread), now);
        Next::Runs { thread, left: self.threads[thread].left }
    }

    /// Takes a thread that may run anywhere from a core where it waits.
    fn pull(&mut self, core: usize) {
        let free = |thread: &usize| self.threads[*thread].pinned.is_none();
        for other in 0..self.cores.len() {
            if let Some(place) = self.cores[other].ready.iter().position(free) {
                let thread = self.cores[other].ready.remove(place);
                let floor = self.cores[core].floor;
                (self.threads[thread].core, self.threads[thread].ran) = (core, floor);
                self.cores[core].ready.push(thread);
                return;
            }
        }
    }

    /// Counts what the thread that has the core did until now.
    fn settle(&mut self, core: usize, now: u64) {
        let state = &mut self.cores[core];
        let span = now - state.since.min(now);
        state.since = now;
        if let Some(thread) = state.running {
            let thread = &mut self.threads[thread];
            thread.ran += span;
            thread.used += span;
            thread.left = thread.left.saturating_sub(span);
        }
        let could_run = state.ready.iter().chain(&state.running);
        let least = could_run.map(|thread| self.threads[*thread].ran).min();
        state.floor = state.floor.max(least.unwrap_or(0));
    }

    /// When threads of the core change places next, if any waits and nobody was told yet.
    pub(super) fn tick(&mut self, core: usize, now: u64) -> Option<u64> {
        let state = &mut self.cores[core];
        let waits = state.running.is_some() && !state.ready.is_empty() && state.ticks_at.is_none();
        let at = (now / self.tick + 1) * self.tick;
        waits.then(|| *state.ticks_at.insert(at))
    }

    /// A tick: whether the core shall be given to another.
    pub(super) fn ticked(&mut self, core: usize, now: u64) -> bool {
        self.cores[core].ticks_at = None;
        self.settle(core, now);
        let Core { running, ready, .. } = &self.cores[core];
        let Some(running) = running else { return false };
        ready.iter().any(|waits| self.threads[*waits].ran < self.threads[*running].ran)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_slept_takes_the_core_and_busy_threads_change_places_at_a_tick() {
        let mut scheduler = Scheduler::new(1, 4_000);
        let (busy, other) = (scheduler.spawn(Some(0)), scheduler.spawn(Some(0)));
        assert_eq!(scheduler.wake(busy, 0), (0, true));
        assert_eq!(scheduler.switch(0, 0), Next::Runs { thread: busy, left: 0 });
        scheduler.work(0, 0, 50_000);
        assert_eq!(scheduler.wake(other, 1_000), (0, true), "it ran less");
        assert_eq!(scheduler.switch(0, 1_000), Next::Runs { thread: other, left: 0 });
        scheduler.work(0, 1_000, 50_000);
        assert_eq!((scheduler.tick(0, 1_000), scheduler.tick(0, 1_100)), (Some(4_000), None));
        assert!(scheduler.ticked(0, 4_000), "it ran longer by now");
        assert_eq!(scheduler.switch(0, 4_000), Next::Runs { thread: busy, left: 49_000 });
        assert_eq!((scheduler.used(busy), scheduler.used(other)), (1_000, 3_000));
    }

    #[test]
    fn a_sleeper_is_not_owed_its_sleep_and_one_without_a_core_takes_the_free_one() {
        let mut scheduler = Scheduler::new(2, 4_000);
        let (pinned, roams) = (scheduler.spawn(Some(1)), scheduler.spawn(None));
        scheduler.wake(pinned, 0);
        scheduler.switch(1, 0);
        scheduler.work(1, 0, 90_000);
        assert_eq!(scheduler.wake(roams, 50_000), (0, true));
        assert_eq!(scheduler.switch(0, 50_000), Next::Runs { thread: roams, left: 0 });
        assert_eq!(scheduler.sleep(0, 50_010), Next::Idle);
        let late = scheduler.spawn(Some(1));
        scheduler.wake(late, 60_000);
        scheduler.switch(1, 60_000);
        scheduler.work(1, 60_000, 100_000);
        // Both ran equally long, not one for the 60 us that the other had before.
        assert!(!scheduler.ticked(1, 60_000) && scheduler.ticked(1, 68_000));
    }
}
