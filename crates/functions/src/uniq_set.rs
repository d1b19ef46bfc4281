//! The state of a count of unique values: which values, as a bitmap of the ids
//! that they have in their domain. Bitmaps of one domain can be united, so that
//! what is counted over any windows and groups is known without reading the rows
//! again.
//!
//! Form of a state: version (1), length of the domain's name (one byte), the
//! name, and the ids as a Roaring bitmap in its portable form
//! (github.com/RoaringBitmap/RoaringFormatSpec), without runs: equal sets are
//! equal bytes.

use std::sync::Arc;

use roaring::RoaringBitmap;

/// Version of the form: the first byte.
const VERSION: u8 = 1;
/// Longer names of domains are refused.
pub const DOMAIN_BYTES_MAX: usize = 255;

/// What is wrong with a state, or with states together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UniqError {
    /// The bytes are none.
    #[error(
        "these bytes are no state of unique values ({0}): give what uniq_state or uniq_merge gave"
    )]
    NotAState(String),
    /// Their ids mean different things.
    #[error(
        "unique values of `{0}` and of `{1}` cannot be merged: their ids mean different things"
    )]
    TwoDomains(String, String),
    /// A name that cannot be one.
    #[error("the name of a domain of unique values has 1 to {DOMAIN_BYTES_MAX} bytes")]
    DomainName,
    /// More than can be numbered.
    #[error(
        "a query counts at most {} different values and groups with uniq_state: narrow it down",
        u32::MAX
    )]
    TooMany,
}

/// Unique values of one domain.
#[derive(Debug, Clone, PartialEq)]
pub struct UniqSet {
    domain: Arc<str>,
    ids: RoaringBitmap,
}

impl UniqSet {
    /// No values.
    pub fn new(domain: Arc<str>) -> Self {
        Self {
            domain,
            ids: RoaringBitmap::new(),
        }
    }

    /// Reads a state.
    ///
    /// # Errors
    /// When the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, UniqError> {
        let not_a_state = |problem: &str| UniqError::NotAState(problem.to_owned());
        let [version, length, rest @ ..] = bytes else {
            return Err(not_a_state("too short"));
        };
        if *version != VERSION {
            return Err(not_a_state("of another version"));
        }
        let parts = rest.split_at_checked(usize::from(*length));
        let (name, ids) = parts.ok_or_else(|| not_a_state("too short"))?;
        let domain = std::str::from_utf8(name).map_err(|_| not_a_state("no name"))?;
        let ids = RoaringBitmap::deserialize_from(ids)
            .map_err(|error| UniqError::NotAState(error.to_string()))?;
        Ok(Self {
            domain: domain.into(),
            ids,
        })
    }

    /// The state's bytes.
    ///
    /// # Errors
    /// When the name of the domain is too long.
    pub fn encode(&self) -> Result<Vec<u8>, UniqError> {
        let length = u8::try_from(self.domain.len()).map_err(|_| UniqError::DomainName)?;
        let size = 2 + self.domain.len() + self.ids.serialized_size();
        let mut bytes = Vec::with_capacity(size);
        bytes.extend([VERSION, length]);
        bytes.extend(self.domain.as_bytes());
        // Writing to memory does not fail.
        self.ids
            .serialize_into(&mut bytes)
            .map_err(|error| UniqError::NotAState(error.to_string()))?;
        Ok(bytes)
    }

    /// What the ids are ids of.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.ids.len()
    }

    /// The ids, smallest first.
    pub fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.ids.iter()
    }

    /// Adds an id.
    pub fn insert(&mut self, id: u32) {
        self.ids.insert(id);
    }

    /// The ids that `other` lacks, if both are of one domain; otherwise all.
    pub fn without(&self, other: &Self) -> Self {
        if self.domain != other.domain {
            return self.clone();
        }
        Self {
            domain: self.domain.clone(),
            ids: &self.ids - &other.ids,
        }
    }

    fn without_runs(mut self) -> Self {
        self.ids.remove_run_compression();
        self
    }
}

/// Unique values of any domains, of which only those of one have a meaning
/// together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UniqSets {
    sets: Vec<UniqSet>,
}

impl UniqSets {
    fn of_domain(&mut self, domain: &str) -> &mut UniqSet {
        let found = self.sets.iter().position(|set| set.domain() == domain);
        let place = found.unwrap_or_else(|| {
            self.sets.push(UniqSet::new(domain.into()));
            self.sets.len() - 1
        });
        &mut self.sets[place]
    }

    /// Adds an id.
    pub fn insert(&mut self, domain: &str, id: u32) {
        self.of_domain(domain).insert(id);
    }

    /// Takes an id out.
    pub fn remove(&mut self, domain: &str, id: u32) {
        self.of_domain(domain).ids.remove(id);
        self.sets.retain(|set| !set.ids.is_empty());
    }

    /// Adds all ids of a set.
    pub fn union(&mut self, set: UniqSet) {
        let known = self.of_domain(&set.domain);
        known.ids |= set.without_runs().ids;
    }

    /// The sets, one for each domain that was met.
    pub fn sets(&self) -> &[UniqSet] {
        &self.sets
    }

    /// The state of the one domain; `None` if there are no values.
    ///
    /// # Errors
    /// When there are two domains.
    pub fn encode(&self) -> Result<Option<Vec<u8>>, UniqError> {
        match &self.sets[..] {
            [] => Ok(None),
            [set] => set.encode().map(Some),
            [first, second, ..] => {
                let mut names = [first.domain().to_owned(), second.domain().to_owned()];
                names.sort();
                let [first, second] = names;
                Err(UniqError::TwoDomains(first, second))
            }
        }
    }

    /// Memory taken, about.
    pub fn memory_bytes(&self) -> usize {
        let sets = self.sets.iter();
        sets.map(|set| size_of::<UniqSet>() + set.ids.serialized_size())
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(domain: &str, ids: impl IntoIterator<Item = u32>) -> UniqSet {
        let mut set = UniqSet::new(domain.into());
        ids.into_iter().for_each(|id| set.insert(id));
        set
    }

    #[test]
    fn equal_sets_are_equal_bytes_however_they_were_made() {
        let expected = set("device", 0..10_000).encode().unwrap();
        let mut made = UniqSets::default();
        made.union(set("device", (0..10_000).filter(|id| id % 3 == 0)));
        made.union(UniqSet::decode(&expected).unwrap());
        for id in 10_000..30_000 {
            made.insert("device", id);
        }
        for id in 10_000..30_000 {
            made.remove("device", id);
        }
        assert_eq!(made.encode().unwrap().unwrap(), expected);
        assert_eq!(UniqSet::decode(&expected).unwrap().count(), 10_000);
    }

    #[test]
    fn states_of_two_domains_are_refused_until_one_is_gone() {
        let mut made = UniqSets::default();
        made.union(set("member", [1]));
        made.union(set("device", [1, 2]));
        let expected = UniqError::TwoDomains("device".into(), "member".into());
        assert_eq!(made.encode(), Err(expected));
        made.remove("member", 1);
        assert_eq!(made.encode(), set("device", [1, 2]).encode().map(Some));
    }

    #[test]
    fn other_bytes_are_no_state() {
        let sound = set("device", [3, 70_000]).encode().unwrap();
        for end in 0..sound.len() {
            assert!(UniqSet::decode(&sound[..end]).is_err(), "{end} bytes");
        }
        for place in 0..sound.len() {
            let mut damaged = sound.clone();
            damaged[place] ^= 0xA5;
            // An error or another set, but nothing worse.
            let _ = UniqSet::decode(&damaged);
        }
    }
}
