//! Real files, and a writer and a rotation that do something between any two calls of the reader.

mod world;

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read as _};
use std::rc::Rc;

use proptest::prelude::*;

use self::world::{Op, World};
use super::*;

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => Just(Op::Nothing),
        4 => Just(Op::Look),
        12 => (1..6_u8).prop_map(|pieces| Op::Append { pieces }),
        6 => Just(Op::Reopen),
        2 => Just(Op::MoveOn),
        3 => Just(Op::Rename),
        2 => Just(Op::RenameBack),
        1 => Just(Op::Remove),
        2 => Just(Op::Create),
        2 => Just(Op::Truncate),
        2 => (0..4_u8).prop_map(|rotations| Op::Restart { rotations }),
    ]
}

/// The disk, with something that happens before each call.
#[derive(Clone)]
struct Meddled {
    disk: Disk,
    world: Rc<RefCell<World>>,
    looker: Rc<RefCell<Option<Looker<Meddled>>>>,
}

impl Meddled {
    fn meddle(&self) {
        let op = {
            let mut world = self.world.borrow_mut();
            match world.script.front() {
                None | Some(Op::Restart { .. }) => return,
                Some(_) => world.script.pop_front().unwrap(),
            }
        };
        match op {
            Op::Look => self.look(),
            op => self.world.borrow_mut().act(op),
        }
    }

    fn look(&self) {
        // The looker's own calls cause no other look.
        if let Ok(mut looker) = self.looker.try_borrow_mut()
            && let Some(looker) = &mut *looker
        {
            looker.look();
        }
    }
}

impl Files for Meddled {
    fn at_path(&mut self) -> io::Result<Option<Seen>> {
        self.meddle();
        self.disk.at_path()
    }

    fn open(&mut self) -> io::Result<Option<File>> {
        self.meddle();
        let mut world = self.world.borrow_mut();
        if let Some(file) = world.at_path {
            world.files[file].was_opened = true;
        }
        self.disk.open()
    }

    fn find(&mut self, file: FileId) -> io::Result<Option<File>> {
        self.meddle();
        self.disk.find(file)
    }

    fn rotated_after(&mut self, file: FileId) -> io::Result<Vec<FileId>> {
        self.meddle();
        self.disk.rotated_after(file)
    }

    fn look(&mut self, file: &File) -> io::Result<Seen> {
        self.meddle();
        self.disk.look(file)
    }

    /// Of the script there is at most one thing between the look at a file's first bytes and this. A truncation and more
    /// bytes than before cannot be told apart there.
    fn read_at(&mut self, file: &File, out: &mut [u8], offset: u64) -> io::Result<usize> {
        if !matches!(self.world.borrow().script.front(), Some(Op::Look)) {
            self.meddle();
        }
        self.disk.read_at(file, out, offset)
    }

    fn has_bytes(&mut self, _: &File) -> io::Result<bool> {
        unreachable!("there are no pipes")
    }

    fn read_pipe(&mut self, _: &File, _: &mut [u8]) -> io::Result<usize> {
        unreachable!("there are no pipes")
    }

    fn wait(&mut self, _: Option<&File>) -> io::Result<()> {
        self.meddle();
        Meddled::look(self);
        let mut world = self.world.borrow_mut();
        world.idle = if world.script.is_empty() { world.idle + 1 } else { 0 };
        if world.idle > 8 || matches!(world.script.front(), Some(Op::Restart { .. })) {
            return Err(io::Error::other("no more to wait for"));
        }
        Ok(())
    }
}

/// What a reader with this buffer makes of it, and what it should.
fn play(script: &[Op], room: usize) -> (String, String) {
    let world = World::new(script);
    let disk = Disk::new(&world.path());
    let world = Rc::new(RefCell::new(world));
    let files = Meddled { disk, world: Rc::clone(&world), looker: Rc::default() };
    let begin = |position: Option<Position>| {
        *files.looker.borrow_mut() = None;
        let (followed, looker) = Followed::with(files.clone(), position.as_ref()).unwrap();
        *files.looker.borrow_mut() = Some(looker);
        if let Some(position) = followed.position(0) {
            world.borrow_mut().model(position.file).was_opened = true;
        }
        followed
    };
    let mut followed = begin(None);
    let mut out = vec![0; room];
    let mut all = Vec::new();
    loop {
        let read = followed.read(&mut out);
        if let Ok(length) = read {
            all.extend(&out[..length]);
            // One byte is an end of a line that was put in.
            if length > 1 {
                world.borrow_mut().note(followed.position(0).unwrap());
            }
        }
        let next = world.borrow().script.front().copied();
        if let Some(Op::Restart { rotations }) = next {
            world.borrow_mut().script.pop_front();
            let position = followed.position(0);
            let is_whole = all.last().is_none_or(|last| *last == b'\n');
            if is_whole && world.borrow().may_restart_at(position, rotations) {
                let stored = position.map(|position| position.to_string());
                // What the old one had opened is not known to the new one.
                world.borrow_mut().files.iter_mut().for_each(|model| model.was_opened = false);
                (0..rotations).for_each(|_| world.borrow_mut().rotate());
                followed = begin(stored.map(|stored| stored.parse().unwrap()));
            }
        } else if read.is_err() {
            break;
        }
    }
    // Two files and the looker hold each other.
    files.looker.borrow_mut().take();
    let text = |bytes: &[u8]| String::from_utf8(bytes.trim_ascii_end().to_vec()).unwrap();
    let expected = world.borrow().expected();
    (text(&all), text(&expected))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_is_read_once_whatever_happens_in_between(
        script in prop::collection::vec(op(), 0..120),
        room in prop::sample::select(vec![16_usize, 24, 64, 4096]),
    ) {
        let (read, expected) = play(&script, room);
        prop_assert_eq!(read, expected);
    }
}

/// Fewer calls than these come before a thing happens. In so many the reader begins, and comes round again.
const LATEST: usize = 9;

/// These things happen, each as many calls after the one before as may be.
fn at_any_moment(script: [Op; 3]) {
    for calls in 0..LATEST.pow(3) {
        let calls = [calls % LATEST, calls / LATEST % LATEST, calls / LATEST.pow(2)];
        let mut all = vec![Op::Reopen, Op::Append { pieces: 2 }];
        for (op, calls) in script.into_iter().zip(calls) {
            all.extend(std::iter::repeat_n(Op::Nothing, calls));
            all.push(op);
        }
        all.push(Op::Append { pieces: 1 });
        let (read, expected) = play(&all, 64);
        assert_eq!(read, expected, "{all:?}");
    }
}

#[test]
fn a_writer_that_moves_on_at_any_moment_loses_nothing() {
    at_any_moment([Op::Rename, Op::Create, Op::MoveOn]);
}

#[test]
fn a_file_that_comes_back_at_any_moment_is_not_read_twice() {
    at_any_moment([Op::Rename, Op::Create, Op::RenameBack]);
}

#[test]
fn a_file_that_is_truncated_at_any_moment_is_read_from_its_beginning() {
    at_any_moment([Op::Append { pieces: 1 }, Op::Truncate, Op::Append { pieces: 4 }]);
}
