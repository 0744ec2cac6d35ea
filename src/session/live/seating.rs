//! Seats that keep their numbers: taken and left in constant time, walked in order.
//!
//! A walk may stop and go on later by number: who stays is met exactly once, whoever comes and goes meanwhile.

/// Seat numbers are reused last freed, first taken.
#[derive(Debug)]
pub(super) struct Seating<T> {
    seats: Vec<Seat<T>>,
    /// The seat freed last.
    free: Option<u32>,
    taken: usize,
}

#[derive(Debug)]
enum Seat<T> {
    Taken(T),
    /// And the seat freed before it.
    Free(Option<u32>),
}

impl<T> Default for Seating<T> {
    fn default() -> Self {
        Self {
            seats: Vec::new(),
            free: None,
            taken: 0,
        }
    }
}

impl<T> Seating<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// Seats `guest`. None if there are more seats than numbers.
    pub(super) fn take(&mut self, guest: T) -> Option<u32> {
        let number = match self.free {
            Some(number) => {
                let seat = self.seats.get_mut(number as usize)?;
                if let Seat::Free(before) = *seat {
                    self.free = before;
                }
                *seat = Seat::Taken(guest);
                number
            }
            None => {
                let number = u32::try_from(self.seats.len()).ok()?;
                self.seats.push(Seat::Taken(guest));
                number
            }
        };
        self.taken += 1;
        Some(number)
    }

    /// Frees a seat; none if it was free.
    pub(super) fn leave(&mut self, number: u32) -> Option<T> {
        let seat = self.seats.get_mut(number as usize)?;
        if matches!(seat, Seat::Free(_)) {
            return None;
        }
        let Seat::Taken(guest) = std::mem::replace(seat, Seat::Free(self.free)) else {
            return None;
        };
        self.free = Some(number);
        self.taken -= 1;
        if self.taken == 0 {
            // Everybody left: no number is in use, and no room is needed.
            *self = Self::default();
        }
        Some(guest)
    }

    pub(super) fn at(&self, number: u32) -> Option<&T> {
        match self.seats.get(number as usize)? {
            Seat::Taken(guest) => Some(guest),
            Seat::Free(_) => None,
        }
    }

    pub(super) fn at_mut(&mut self, number: u32) -> Option<&mut T> {
        match self.seats.get_mut(number as usize)? {
            Seat::Taken(guest) => Some(guest),
            Seat::Free(_) => None,
        }
    }

    /// Those on the next `count` seats from `from` on, and where to go on, if anywhere.
    pub(super) fn chunk(&self, from: u32, count: u32) -> (impl Iterator<Item = &T>, Option<u32>) {
        let end = from.saturating_add(count);
        let seats = self.seats.iter().skip(from as usize).take(count as usize);
        let guests = seats.filter_map(|seat| match seat {
            Seat::Taken(guest) => Some(guest),
            Seat::Free(_) => None,
        });
        (guests, ((end as usize) < self.seats.len()).then_some(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_and_are_reused() {
        let mut seating = Seating::default();
        let numbers: Vec<u32> = (0..6).map(|guest| seating.take(guest).unwrap()).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5]);
        assert_eq!((seating.leave(1), seating.leave(4)), (Some(1), Some(4)));
        assert_eq!((seating.leave(4), seating.leave(99)), (None, None));
        assert_eq!((seating.at(3), seating.at(4)), (Some(&3), None));
        assert_eq!(
            (seating.take(7), seating.take(8), seating.take(9)),
            (Some(4), Some(1), Some(6))
        );
        for number in 0..7 {
            assert!(!seating.is_empty());
            assert!(seating.leave(number).is_some());
        }
        assert!(seating.is_empty());
        assert_eq!(seating.take(1), Some(0));
    }

    #[test]
    fn a_walk_in_pieces_meets_who_stays_once() {
        let mut seating = Seating::default();
        (0..10).for_each(|guest| {
            seating.take(guest).unwrap();
        });
        let (mut met, mut from) = (Vec::new(), Some(0));
        while let Some(start) = from {
            let (guests, next) = seating.chunk(start, 3);
            met.extend(guests.copied());
            from = next;
            // One that was met and one that was not leave, somebody comes.
            seating.leave(start);
            seating.leave(start + 5);
            seating.take(100 + start).unwrap();
        }
        met.retain(|guest| ![0, 3, 5, 6, 8, 9].contains(guest) && *guest < 100);
        assert_eq!(met, [1, 2, 4, 7]);
        let (guests, next) = seating.chunk(50, 3);
        assert_eq!((guests.count(), next), (0, None));
    }
}
