//! A table whose keys stay valid or fail: a place that was freed and used again answers only to its new key.
//!
//! Keys travel through the kernel (as epoll data) and through helpers, so one can come back after what it named has
//! gone. Such a key finds nothing; it never finds somebody else.

use std::fmt;
use std::marker::PhantomData;

/// Names one entry of a [`Slots`] of `T`.
pub struct Key<T> {
    index: u32,
    generation: u32,
    kind: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    /// The key as a number of 56 bits, for epoll data: 32 of index, 24 of generation.
    pub fn pack(self) -> u64 {
        u64::from(self.index) | u64::from(self.generation) << 32
    }

    /// The key that [`Self::pack`] made.
    pub fn unpack(packed: u64) -> Self {
        let low = packed & u64::from(u32::MAX);
        let index = u32::try_from(low).expect("32 bits were kept");
        let generation = u32::try_from(packed >> 32 & u64::from(GENERATIONS)).expect("24 bits were kept");
        Self { index, generation, kind: PhantomData }
    }
}

/// Generations wrap here: 24 bits, since a packed key shares a word with a tag.
const GENERATIONS: u32 = (1 << 24) - 1;

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Key<T> {}
impl<T> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.index, self.generation) == (other.index, other.generation)
    }
}
impl<T> Eq for Key<T> {}
impl<T> PartialOrd for Key<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Key<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.index, self.generation).cmp(&(other.index, other.generation))
    }
}
impl<T> std::hash::Hash for Key<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.index, self.generation).hash(state);
    }
}
impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}.{}", self.index, self.generation)
    }
}

/// Entries of one kind, found by key in constant time. Removing and inserting again allocates nothing.
#[derive(Debug)]
pub struct Slots<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    /// Makes room for so many in all, and for no more.
    pub fn reserve(&mut self, total: usize) {
        self.entries.reserve_exact(total.saturating_sub(self.entries.len()));
    }

    /// Puts a value in and names it.
    pub fn insert(&mut self, value: T) -> Key<T> {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.entries.push(Entry { generation: 0, value: None });
                u32::try_from(self.entries.len() - 1)
                    .expect("entries are bounded by descriptors and services")
            }
        };
        let entry = &mut self.entries[index as usize];
        entry.value = Some(value);
        Key { index, generation: entry.generation, kind: PhantomData }
    }

    /// Takes a value out; its key finds nothing from now on.
    pub fn remove(&mut self, key: Key<T>) -> Option<T> {
        let entry = self.entries.get_mut(key.index as usize)?;
        if entry.generation != key.generation {
            return None;
        }
        let value = entry.value.take()?;
        entry.generation = (entry.generation + 1) & GENERATIONS;
        self.free.push(key.index);
        Some(value)
    }

    /// The value that `key` names, if it is still there.
    pub fn get(&self, key: Key<T>) -> Option<&T> {
        let entry = self.entries.get(key.index as usize)?;
        if entry.generation == key.generation { entry.value.as_ref() } else { None }
    }

    /// The value that `key` names, if it is still there.
    pub fn get_mut(&mut self, key: Key<T>) -> Option<&mut T> {
        let entry = self.entries.get_mut(key.index as usize)?;
        if entry.generation == key.generation { entry.value.as_mut() } else { None }
    }

    /// All entries, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = (Key<T>, &T)> {
        self.entries.iter().zip(0..).filter_map(|(entry, index)| {
            let key = Key { index, generation: entry.generation, kind: PhantomData };
            entry.value.as_ref().map(|value| (key, value))
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Values that belong to the keys of some [`Slots`] kept elsewhere.
#[derive(Debug)]
pub struct Side<T, V> {
    entries: Vec<Option<(Key<T>, V)>>,
}

impl<T, V> Default for Side<T, V> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<T, V> Side<T, V> {
    /// Puts a value in for a key; one that was there goes.
    pub fn insert(&mut self, key: Key<T>, value: V) {
        let index = key.index as usize;
        if self.entries.len() <= index {
            self.entries.resize_with(index + 1, || None);
        }
        self.entries[index] = Some((key, value));
    }

    /// Takes the value of a key out.
    pub fn remove(&mut self, key: Key<T>) -> Option<V> {
        let entry = self.entries.get_mut(key.index as usize)?;
        entry.take_if(|(owner, _)| *owner == key).map(|(_, value)| value)
    }

    /// The value of a key.
    pub fn get(&self, key: Key<T>) -> Option<&V> {
        let (owner, value) = self.entries.get(key.index as usize)?.as_ref()?;
        if *owner == key { Some(value) } else { None }
    }

    /// The value of a key.
    pub fn get_mut(&mut self, key: Key<T>) -> Option<&mut V> {
        let (owner, value) = self.entries.get_mut(key.index as usize)?.as_mut()?;
        if *owner == key { Some(value) } else { None }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (Key<T>, &V)> {
        self.entries.iter().flatten().map(|(key, value)| (*key, value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_finds_nothing() {
        let mut slots = Slots::default();
        let old = slots.insert('a');
        assert_eq!(slots.remove(old), Some('a'));
        let new = slots.insert('b');
        assert_eq!(slots.get(old), None);
        assert_eq!(slots.remove(old), None);
        assert_eq!(slots.get(Key::unpack(new.pack())), Some(&'b'));
        assert_eq!(slots.len(), 1);
    }
}
