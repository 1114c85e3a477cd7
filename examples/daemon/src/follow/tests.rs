//! Real files, and a writer and a rotation that do something between any two calls of the reader.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::rc::Rc;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// What others do.
#[derive(Clone, Copy, Debug)]
enum Op {
    Nothing,
    /// The path is looked at.
    Look,
    /// The writer appends.
    Append {
        pieces: u8,
    },
    /// The writer opens what is at the path, and creates it if there is nothing.
    Reopen,
    /// It appends, opens, and appends there.
    MoveOn,
    /// The file gets another name.
    Rename,
    /// It gets its name back.
    RenameBack,
    Remove,
    /// An empty file is put at the path.
    Create,
    Truncate,
    /// The reader begins again, at the position that it had stored as text.
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => Just(Op::Nothing),
        4 => Just(Op::Look),
        12 => (1..6_u8).prop_map(|pieces| Op::Append { pieces }),
        6 => Just(Op::Reopen),
        2 => Just(Op::MoveOn),
        3 => Just(Op::Rename),
        1 => Just(Op::RenameBack),
        1 => Just(Op::Remove),
        2 => Just(Op::Create),
        2 => Just(Op::Truncate),
        2 => Just(Op::Restart),
    ]
}

/// All that is known of a file.
struct Model {
    id: FileId,
    /// What was read of the contents that it had before it was truncated.
    before: Vec<u8>,
    /// Its content, and how much of it was read.
    content: Vec<u8>,
    read: usize,
    was_opened: bool,
    is_removed: bool,
    /// Nothing was read since it was truncated.
    is_just_truncated: bool,
}

struct World {
    directory: TempDir,
    script: VecDeque<Op>,
    /// In the order in which they were created.
    files: Vec<Model>,
    at_path: Option<usize>,
    renamed: Option<(usize, PathBuf)>,
    writer: Option<(usize, File)>,
    pieces: u64,
    idle: u32,
}

impl World {
    fn path(&self) -> PathBuf {
        self.directory.path().join("events")
    }

    /// A look comes between two rotations, and between two rotations the writer notices the first. Else a file is never
    /// seen.
    fn may_go(&self) -> Option<usize> {
        let file = self.at_path?;
        let is_writers = self.writer.as_ref().is_some_and(|(written, _)| *written == file);
        (is_writers && self.files[file].was_opened).then_some(file)
    }

    fn create(&mut self) {
        let file = File::options().append(true).create_new(true).open(self.path()).unwrap();
        let found = file.metadata().unwrap();
        self.at_path = Some(self.files.len());
        self.files.push(Model {
            id: FileId { device: found.dev(), inode: found.ino() },
            before: Vec::new(),
            content: Vec::new(),
            read: 0,
            was_opened: false,
            is_removed: false,
            is_just_truncated: false,
        });
    }

    fn act(&mut self, op: Op) {
        match op {
            Op::Nothing | Op::Look | Op::Restart => {}
            Op::Append { pieces } => {
                let Some((file, handle)) = &mut self.writer else { return };
                for _ in 0..pieces {
                    let piece = piece(self.pieces);
                    self.pieces += 1;
                    handle.write_all(piece.as_bytes()).unwrap();
                    self.files[*file].content.extend(piece.as_bytes());
                }
            }
            Op::Reopen => {
                if self.at_path.is_none() {
                    self.create();
                }
                let handle = File::options().append(true).open(self.path()).unwrap();
                self.writer = self.at_path.map(|file| (file, handle));
            }
            Op::MoveOn => {
                for op in [Op::Append { pieces: 1 }, Op::Reopen, Op::Append { pieces: 2 }] {
                    self.act(op);
                }
            }
            Op::Rename => {
                let Some(file) = self.may_go() else { return };
                let name = self.directory.path().join(format!("events.{file}"));
                fs::rename(self.path(), &name).unwrap();
                (self.at_path, self.renamed) = (None, Some((file, name)));
            }
            Op::RenameBack if self.at_path.is_none() => {
                let Some((file, name)) = self.renamed.take() else { return };
                fs::rename(name, self.path()).unwrap();
                self.at_path = Some(file);
            }
            Op::RenameBack => {}
            Op::Remove => {
                let Some(file) = self.may_go() else { return };
                fs::remove_file(self.path()).unwrap();
                self.files[file].is_removed = true;
                (self.at_path, self.renamed) = (None, None);
            }
            Op::Create => {
                if self.at_path.is_none() {
                    self.create();
                }
            }
            Op::Truncate => {
                let Some(file) = self.may_go() else { return };
                File::options().write(true).open(self.path()).unwrap().set_len(0).unwrap();
                let model = &mut self.files[file];
                // The rest is gone before it could be read.
                let read = model.content[..model.read].to_vec();
                append(&mut model.before, &read);
                model.content.clear();
                (model.read, model.is_just_truncated) = (0, true);
            }
        }
    }

    /// The last one, as a number is given again when a file is gone.
    fn model(&mut self, id: FileId) -> &mut Model {
        self.files.iter_mut().rfind(|model| model.id == id).unwrap()
    }

    /// That bytes were read, to here.
    fn note(&mut self, position: Position) {
        let model = self.model(position.file);
        model.read = usize::try_from(position.offset).unwrap();
        assert_eq!(position, Position::new(model.id, position.offset, &model.content));
        model.is_just_truncated = false;
    }

    /// Whether a reader that has nothing but this position can go on without a loss.
    fn may_restart_at(&self, position: Option<Position>) -> bool {
        let writer = self.writer.as_ref().map(|(file, _)| *file);
        // The next file is found at the path only.
        let is_done = |file: usize| self.files[file].content.is_empty() && writer != Some(file);
        let are_done =
            |mut files: Range<usize>| files.all(|file| self.at_path == Some(file) || is_done(file));
        let Some(position) = position else { return are_done(0..self.files.len()) };
        let front = self.files.iter().rposition(|model| model.id == position.file).unwrap();
        let model = &self.files[front];
        let is_whole = model.read.is_multiple_of(LINE);
        let is_read = model.read == model.content.len() && writer != Some(front);
        let is_recognised = self.at_path == Some(front) || !model.is_just_truncated;
        is_whole
            && (is_read || !model.is_removed)
            && is_recognised
            && are_done(front + 1..self.files.len())
    }

    /// All that was not gone before it could be read.
    fn expected(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for model in &self.files {
            append(&mut all, &model.before);
            append(&mut all, &model.content);
        }
        all
    }
}

/// What comes from another file, or from another content, begins with a line.
fn append(all: &mut Vec<u8>, more: &[u8]) {
    if !more.is_empty() && all.last().is_some_and(|last| *last != b'\n') {
        all.push(b'\n');
    }
    all.extend(more);
}

const PIECE: usize = 8;
const LINE: usize = 3 * PIECE;

/// A third of a line, unlike any other.
fn piece(number: u64) -> String {
    let unique = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    if number % 3 == 2 { format!("{:07x}\n", unique >> 4) } else { format!("{unique:08x}") }
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
                None | Some(Op::Restart) => return,
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
        if world.idle > 8 || matches!(world.script.front(), Some(Op::Restart)) {
            return Err(io::Error::other("no more to wait for"));
        }
        Ok(())
    }
}

/// What a reader with this buffer makes of it, and what it should.
fn play(script: &[Op], room: usize) -> (String, String) {
    let directory = TempDir::new().unwrap();
    let disk = Disk::new(&directory.path().join("events"));
    let world = Rc::new(RefCell::new(World {
        directory,
        script: script.iter().copied().collect(),
        files: Vec::new(),
        at_path: None,
        renamed: None,
        writer: None,
        pieces: 0,
        idle: 0,
    }));
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
        if let Some(Op::Restart) = next {
            world.borrow_mut().script.pop_front();
            let position = followed.position(0);
            let is_whole = all.last().is_none_or(|last| *last == b'\n');
            if is_whole && world.borrow().may_restart_at(position) {
                let stored = position.map(|position| position.to_string());
                // What the old one had opened is not known to the new one.
                world.borrow_mut().files.iter_mut().for_each(|model| model.was_opened = false);
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
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_is_read_once_whatever_happens_in_between(
        script in prop::collection::vec(op(), 0..120),
        room in prop::sample::select(vec![16_usize, 24, 64, 4096]),
    ) {
        let (read, expected) = play(&script, room);
        prop_assert_eq!(read, expected);
    }
}
