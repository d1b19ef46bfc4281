//! Many groups at once: their ids are looked up together.

use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::Int64Array;

use super::*;

/// Gives every number its own value as id, but none to 13; counts how often
/// it is asked.
#[derive(Debug, Default)]
struct Numbers {
    asked: AtomicUsize,
}

impl UniqIds for Numbers {
    fn find(&self, _domain: &str, values: &BTreeSet<String>) -> Result<Vec<(String, u32)>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let known = values.iter().filter(|value| *value != "13");
        Ok(known
            .map(|value| (value.clone(), value.parse().unwrap()))
            .collect())
    }
}

fn grouped(ids: &Arc<Numbers>) -> GroupedValues {
    GroupedValues::new("number".into(), ids.clone())
}

fn sets(states: &ArrayRef) -> Vec<Option<Vec<u32>>> {
    let states = states.as_binary::<i32>();
    let sets = states
        .iter()
        .map(|state| state.map(|state| UniqSet::decode(state).unwrap().ids().collect()));
    sets.collect()
}

fn numbers(values: impl IntoIterator<Item = Option<i64>>) -> Vec<ArrayRef> {
    vec![Arc::new(values.into_iter().collect::<Int64Array>())]
}

#[test]
fn all_groups_are_looked_up_at_once() {
    let ids = Arc::new(Numbers::default());
    let mut states = grouped(&ids);
    let values = numbers([Some(5), None, Some(7), Some(5), Some(13), Some(5)]);
    // 13 is not wanted, and therefore needs no id; group 2 has no values.
    let wanted = BooleanArray::from(vec![
        Some(true),
        Some(true),
        Some(true),
        Some(true),
        Some(false),
        None,
    ]);
    states
        .update_batch(&values, &[0, 0, 1, 0, 1, 2], Some(&wanted), 3)
        .unwrap();
    let found = states.evaluate(EmitTo::All).unwrap();
    assert_eq!(sets(&found), [Some(vec![5]), Some(vec![7]), None]);
    assert_eq!(ids.asked.load(Ordering::Relaxed), 1);
}

#[test]
fn groups_that_are_given_early_leave_the_others_as_they_are() {
    let ids = Arc::new(Numbers::default());
    let mut states = grouped(&ids);
    let values = numbers([Some(1), Some(2), Some(3), Some(1)]);
    states
        .update_batch(&values, &[0, 1, 2, 3], None, 4)
        .unwrap();
    let first = states.evaluate(EmitTo::First(2)).unwrap();
    assert_eq!(sets(&first), [Some(vec![1]), Some(vec![2])]);
    states
        .update_batch(&numbers([Some(4)]), &[1], None, 2)
        .unwrap();
    let rest = states.evaluate(EmitTo::All).unwrap();
    assert_eq!(sets(&rest), [Some(vec![3]), Some(vec![1, 4])]);
}

#[test]
fn parts_of_groups_are_united() {
    let ids = Arc::new(Numbers::default());
    let mut part = grouped(&ids);
    part.update_batch(&numbers([Some(1), Some(2), Some(2)]), &[0, 1, 1], None, 2)
        .unwrap();
    let rows = part
        .convert_to_state(&numbers([Some(3), None]), None)
        .unwrap();
    let mut whole = grouped(&ids);
    let states = part.state(EmitTo::All).unwrap();
    whole.merge_batch(&states, &[1, 0], 3).unwrap();
    whole.merge_batch(&rows, &[0, 2], 3).unwrap();
    let found = whole.evaluate(EmitTo::All).unwrap();
    assert_eq!(sets(&found), [Some(vec![2, 3]), Some(vec![1]), None]);
}

#[test]
fn many_values_of_few_groups_take_little_memory() {
    let mut states = grouped(&Arc::default());
    // Without the one that has no id.
    let values = numbers((1_000..2_000).map(Some));
    let groups: Vec<usize> = (0..1_000).map(|row| row % 10).collect();
    for _ in 0..1_000 {
        states.update_batch(&values, &groups, None, 10).unwrap();
    }
    assert!(states.pairs.len() < 3 * PAIRS_MORE_MAX);
    let found = states.evaluate(EmitTo::All).unwrap();
    let expected: Vec<u32> = (1_000..2_000).filter(|number| number % 10 == 3).collect();
    assert_eq!(sets(&found)[3], Some(expected));
}

#[test]
fn a_value_without_an_id_is_an_error() {
    let mut states = grouped(&Arc::default());
    states
        .update_batch(&numbers([Some(13)]), &[0], None, 1)
        .unwrap();
    let error = states.evaluate(EmitTo::All).unwrap_err().to_string();
    assert!(
        error.contains("`13` has no id in the domain `number`"),
        "{error}"
    );
}
