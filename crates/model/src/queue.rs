//! Those who wait for room that all share, in the order in which they came.
//!
//! Each is in a queue at most once, and only while it waits: whoever puts one in takes it out again. So a queue is
//! never longer than there are listeners.

use std::collections::VecDeque;

/// A queue for one kind of room.
#[derive(Debug)]
pub struct Queue<T> {
    waiting: VecDeque<T>,
    /// The one that was offered room and has not yet said whether it has a caller for it. The next is offered the room
    /// only when it has not: nobody is left behind by one whose caller has gone.
    offered: Option<T>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), offered: None }
    }
}

impl<T: Copy + Eq> Queue<T> {
    /// Puts one at the end that is not in the queue.
    pub fn push(&mut self, id: T) {
        self.waiting.push_back(id);
    }

    /// Takes one out that waits no longer. Whoever is first in the queue is found at once.
    pub fn remove(&mut self, id: T) {
        if let Some(at) = self.waiting.iter().position(|waiting| *waiting == id) {
            self.waiting.remove(at);
        }
    }

    /// Offers room to the first, unless there is an offer that was not answered. It stays in the queue until
    /// [`Self::remove`] is called for it.
    pub fn offer(&mut self) -> Option<T> {
        if self.offered.is_some() {
            return None;
        }
        self.offered = self.waiting.front().copied();
        self.offered
    }

    /// One that was offered room has taken it, or does not want it. Means nothing for any other.
    pub fn answer(&mut self, id: T) {
        self.offered.take_if(|offered| *offered == id);
    }

    /// Those who wait, in order.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        self.waiting.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(ids: &[u32]) -> Queue<u32> {
        let mut queue = Queue::default();
        ids.iter().for_each(|id| queue.push(*id));
        queue
    }

    fn waiting(queue: &Queue<u32>) -> Vec<u32> {
        queue.iter().collect()
    }

    #[test]
    fn one_offer_at_a_time_goes_to_the_first() {
        let mut queue = queue(&[1, 2, 3]);
        assert_eq!(queue.offer(), Some(1));
        queue.remove(1);
        assert_eq!(queue.offer(), None, "1 has not answered");
        queue.answer(2);
        assert_eq!(queue.offer(), None, "it is not 2 that was asked");
        queue.answer(1);
        assert_eq!(queue.offer(), Some(2));
        assert_eq!(waiting(&queue), [2, 3], "whoever is offered room waits until it is taken out");
    }

    #[test]
    fn who_leaves_is_gone_and_the_others_keep_their_places() {
        let mut queue = queue(&[1, 2, 3]);
        queue.remove(2);
        queue.remove(2);
        assert_eq!(waiting(&queue), [1, 3]);
        queue.push(2);
        assert_eq!(waiting(&queue), [1, 3, 2]);
    }

    #[test]
    fn an_empty_queue_offers_nothing_and_goes_on() {
        let mut queue = queue(&[]);
        assert_eq!(queue.offer(), None);
        queue.push(1);
        assert_eq!(queue.offer(), Some(1));
    }
}
