//! Reading bytes that may be anything: every read is checked.

pub use sluice_mysql::input::BadBytes;

/// Bytes that are read from the front. Integers are big-endian.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Input<'a> {
    /// All of `bytes`, which are called `what` in errors.
    pub fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    /// What was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `length` bytes.
    ///
    /// # Errors
    /// When there are fewer; so for all reads below.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], BadBytes> {
        match self.rest.split_at_checked(length) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(BadBytes::Short {
                what: self.what,
                missing: length - self.rest.len(),
            }),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadBytes> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// One byte.
    ///
    /// # Errors
    /// When nothing is left.
    pub fn u8(&mut self) -> Result<u8, BadBytes> {
        Ok(self.array::<1>()?[0])
    }

    /// 2 bytes.
    ///
    /// # Errors
    /// When the bytes end.
    pub fn u16(&mut self) -> Result<u16, BadBytes> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// 4 bytes.
    ///
    /// # Errors
    /// When the bytes end.
    pub fn u32(&mut self) -> Result<u32, BadBytes> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// 4 bytes with a sign.
    ///
    /// # Errors
    /// When the bytes end.
    pub fn i32(&mut self) -> Result<i32, BadBytes> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    /// 8 bytes.
    ///
    /// # Errors
    /// When the bytes end.
    pub fn u64(&mut self) -> Result<u64, BadBytes> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// 8 bytes with a sign.
    ///
    /// # Errors
    /// When the bytes end.
    pub fn i64(&mut self) -> Result<i64, BadBytes> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// Text up to a zero byte, which is read too.
    ///
    /// # Errors
    /// When there is no zero.
    pub fn text(&mut self) -> Result<String, BadBytes> {
        let length = self.rest.iter().position(|&byte| byte == 0);
        let Some(length) = length else {
            return Err(BadBytes::Short {
                what: self.what,
                missing: 1,
            });
        };
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.take(1)?;
        Ok(text)
    }

    /// Bytes with a length of 4 bytes before them.
    ///
    /// # Errors
    /// When the bytes end, or the length is below zero.
    pub fn counted(&mut self) -> Result<&'a [u8], BadBytes> {
        let length = self.i32()?;
        let Ok(length) = usize::try_from(length) else {
            return Err(BadBytes::Invalid(format!(
                "{length} is no length, in {}",
                self.what
            )));
        };
        self.take(length)
    }
}
