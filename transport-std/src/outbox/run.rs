//! Ids that follow one another.

/// Events with ids from the first to the last one, without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first: i64,
    pub(crate) last: i64,
}

impl Run {
    /// So many at most are dealt with by one statement: the pages of their events are in memory then. Measured: without a
    /// bound, a batch of 2 MiB takes half as much time again.
    const MOST: i64 = 64;

    pub(crate) const fn one(id: i64) -> Self {
        Self { first: id, last: id }
    }

    /// Takes the id to the end of the last run, if it follows it, or else begins a new one.
    pub(crate) fn add(runs: &mut Vec<Self>, id: i64) {
        match runs.last_mut() {
            Some(run) if run.last + 1 == id => run.last = id,
            _ => runs.push(Self::one(id)),
        }
    }

    /// The ids that two runs have in common, which there are.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { first: self.first.max(other.first), last: self.last.min(other.last) }
    }

    /// In pieces that are short enough.
    pub(crate) fn pieces(self) -> impl Iterator<Item = Self> {
        let Self { first, last } = self;
        let starts = std::iter::successors(Some(first), |first| Some(first + Self::MOST));
        starts
            .take_while(move |first| *first <= last)
            .map(move |first| Self { first, last: last.min(first + Self::MOST - 1) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_make_runs_and_runs_make_pieces() {
        let mut runs = Vec::new();
        [1, 2, 3, 7, 8, 10].into_iter().for_each(|id| Run::add(&mut runs, id));
        let ends: Vec<_> = runs.iter().map(|run| (run.first, run.last)).collect();
        assert_eq!(ends, [(1, 3), (7, 8), (10, 10)]);
        let pieces = Run { first: 5, last: 133 }.pieces();
        let ends: Vec<_> = pieces.map(|run| (run.first, run.last)).collect();
        assert_eq!(ends, [(5, 68), (69, 132), (133, 133)]);
    }
}
