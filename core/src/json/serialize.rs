//! `serde::Serializer` over the JSON writer: every type serde knows, none of which panics.

use core::fmt;

use serde::Serialize;
use serde::ser::{self, Serializer};

use crate::json::error::EncodeError;
use crate::json::text::{self, MAX_DEPTH};
use crate::json::writer::Writer;

type Done = Result<(), EncodeError>;

/// Writes any value.
#[inline]
pub(crate) fn write<T: Serialize + ?Sized>(value: &T, out: &mut Writer<'_>) -> Done {
    nested(value, out, 0)
}

/// Writes a value that stands in as many arrays and objects as `depth` says.
fn nested<T: Serialize + ?Sized>(value: &T, out: &mut Writer<'_>, depth: u8) -> Done {
    value.serialize(Encoder { out, depth, is_verbatim: false })
}

/// Whether a struct of that name stands for JSON text, which is its only field: a number of any precision, or what
/// somebody encoded before. `serde_json` hands both to every serializer in this way, and expects it to be known.
fn is_json_text(name: &str) -> bool {
    matches!(name.strip_prefix("$serde_json::private::"), Some("Number" | "RawValue"))
}

/// Writes a map key: a string as it is, a number or boolean in quotes.
fn write_key<T: Serialize + ?Sized>(key: &T, out: &mut Writer<'_>) -> Done {
    let start = out.length();
    write(key, out)?;
    match out.written().get(start) {
        Some(b'"') => Ok(()),
        Some(b'-' | b'0'..=b'9' | b't' | b'f') => out.quote(start),
        _ => Err(EncodeError::Key),
    }
}

struct Encoder<'w, 'b> {
    out: &'w mut Writer<'b>,
    /// The arrays and objects that are open.
    depth: u8,
    /// A string is JSON text.
    is_verbatim: bool,
}

impl<'w, 'b> Encoder<'w, 'b> {
    /// Begins an object or array, inside `{"variant":` when it is a variant's content.
    fn open(
        self,
        variant: Option<&str>,
        open: u8,
        close: &'static [u8],
    ) -> Result<Compound<'w, 'b>, EncodeError> {
        let depth = self.depth + 1 + u8::from(variant.is_some());
        if usize::from(depth) > MAX_DEPTH {
            return Err(EncodeError::TooDeep);
        }
        if let Some(variant) = variant {
            self.out.name(b'{', variant)?;
        }
        Ok(Compound { out: self.out, before: open, close, depth, is_verbatim: false })
    }
}

/// An object or array that is being written.
pub(crate) struct Compound<'w, 'b> {
    out: &'w mut Writer<'b>,
    /// What stands before the next element: the opening bracket, or a comma.
    before: u8,
    close: &'static [u8],
    /// The arrays and objects that are open, this one included.
    depth: u8,
    /// It stands for its field, which is JSON text.
    is_verbatim: bool,
}

impl Compound<'_, '_> {
    const fn before(&mut self) -> u8 {
        core::mem::replace(&mut self.before, b',')
    }

    fn separate(&mut self) -> Done {
        let before = self.before();
        self.out.push(&[before])
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.separate()?;
        nested(value, self.out, self.depth)
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Done {
        if self.is_verbatim {
            let field = Encoder { out: self.out, depth: self.depth, is_verbatim: true };
            return value.serialize(field);
        }
        let before = self.before();
        self.out.name(before, name)?;
        nested(value, self.out, self.depth)
    }

    fn close(self) -> Done {
        if self.is_verbatim {
            return Ok(());
        }
        if self.before != b',' {
            self.out.push(&[self.before])?;
        }
        self.out.push(self.close)
    }
}

macro_rules! numbers {
    ($($method:ident: $type:ty),*) => {$(
        fn $method(self, number: $type) -> Done {
            self.out.integer(number.into())
        }
    )*};
}

macro_rules! signed_numbers {
    ($($method:ident: $type:ty),*) => {$(
        fn $method(self, number: $type) -> Done {
            if number < 0 {
                self.out.push(b"-")?;
            }
            self.out.integer(number.unsigned_abs().into())
        }
    )*};
}

macro_rules! floats {
    ($($method:ident: $type:ty),*) => {$(
        fn $method(self, number: $type) -> Done {
            if number.is_finite() { self.out.number(number) } else { Err(EncodeError::NotFinite) }
        }
    )*};
}

macro_rules! wide_numbers {
    ($($method:ident: $type:ty),*) => {$(
        fn $method(self, number: $type) -> Done {
            fmt::write(self.out, format_args!("{number}")).map_err(|_| EncodeError::TooLong)
        }
    )*};
}

impl<'w, 'b> Serializer for Encoder<'w, 'b> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Compound<'w, 'b>;
    type SerializeTuple = Compound<'w, 'b>;
    type SerializeTupleStruct = Compound<'w, 'b>;
    type SerializeTupleVariant = Compound<'w, 'b>;
    type SerializeMap = Compound<'w, 'b>;
    type SerializeStruct = Compound<'w, 'b>;
    type SerializeStructVariant = Compound<'w, 'b>;

    numbers!(serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64);
    signed_numbers!(serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64);
    floats!(serialize_f32: f32, serialize_f64: f64);
    wide_numbers!(serialize_i128: i128, serialize_u128: u128);

    fn serialize_bool(self, value: bool) -> Done {
        self.out.push(if value { b"true" } else { b"false" })
    }

    fn serialize_char(self, value: char) -> Done {
        self.out.string(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Done {
        if self.is_verbatim {
            text::copy_into(self.depth.into(), value, self.out)
        } else {
            self.out.string(value)
        }
    }

    /// An array of numbers, as `serde_json` has it.
    fn serialize_bytes(self, value: &[u8]) -> Done {
        self.collect_seq(value)
    }

    fn serialize_none(self) -> Done {
        self.out.push(b"null")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Done {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Done {
        self.serialize_none()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Done {
        self.out.string(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Done {
        let mut object = self.open(None, b'{', b"}")?;
        object.field(variant, value)?;
        object.close()
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Compound<'w, 'b>, EncodeError> {
        self.open(None, b'[', b"]")
    }

    fn serialize_tuple(self, _length: usize) -> Result<Compound<'w, 'b>, EncodeError> {
        self.open(None, b'[', b"]")
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _length: usize,
    ) -> Result<Compound<'w, 'b>, EncodeError> {
        self.open(None, b'[', b"]")
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Compound<'w, 'b>, EncodeError> {
        self.open(Some(variant), b'[', b"]}")
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Compound<'w, 'b>, EncodeError> {
        self.open(None, b'{', b"}")
    }

    fn serialize_struct(
        self,
        name: &'static str,
        _length: usize,
    ) -> Result<Compound<'w, 'b>, EncodeError> {
        if is_json_text(name) {
            let Self { out, depth, .. } = self;
            return Ok(Compound { out, before: 0, close: b"", depth, is_verbatim: true });
        }
        self.open(None, b'{', b"}")
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Compound<'w, 'b>, EncodeError> {
        self.open(Some(variant), b'{', b"}}")
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Done {
        self.out.push(b"\"")?;
        let mut escaped = Escaped { out: self.out, result: Ok(()) };
        let written = fmt::write(&mut escaped, format_args!("{value}"));
        escaped.result?;
        written.map_err(|_| EncodeError::Custom)?;
        self.out.push(b"\"")
    }
}

/// `Display` text on its way into a string.
struct Escaped<'w, 'b> {
    out: &'w mut Writer<'b>,
    result: Done,
}

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.result = self.out.escaped(text);
        self.result.map_err(|_| fmt::Error)
    }
}

macro_rules! elements {
    ($($trait:ident: $method:ident),*) => {$(
        impl ser::$trait for Compound<'_, '_> {
            type Ok = ();
            type Error = EncodeError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
                self.element(value)
            }

            fn end(self) -> Done {
                self.close()
            }
        }
    )*};
}

macro_rules! fields {
    ($($trait:ident),*) => {$(
        impl ser::$trait for Compound<'_, '_> {
            type Ok = ();
            type Error = EncodeError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Done {
                self.field(name, value)
            }

            fn end(self) -> Done {
                self.close()
            }
        }
    )*};
}

elements!(
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field
);
fields!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Compound<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        self.separate()?;
        write_key(key, self.out)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.out.push(b":")?;
        nested(value, self.out, self.depth)
    }

    fn end(self) -> Done {
        self.close()
    }
}

impl ser::Error for EncodeError {
    fn custom<T: fmt::Display>(_message: T) -> Self {
        Self::Custom
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_numbers_are_written_as_they_are_read() {
        let mut out = [0; 64];
        let mut writer = Writer::new(&mut out);
        write(&[i64::MIN, -1, 0, i64::MAX], &mut writer).unwrap();
        assert_eq!(writer.finish(), b"[-9223372036854775808,-1,0,9223372036854775807]");
    }
}
