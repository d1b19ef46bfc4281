//! Reading bytes that may be anything: every read is checked.

/// The bytes end before what they announce, or hold what cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBytes {
    /// Fewer bytes than a value takes.
    #[error("it ends {missing} bytes too early, in {what}")]
    Short {
        /// What was being read.
        what: &'static str,
        /// Bytes that are missing.
        missing: usize,
    },
    /// A value that has no meaning.
    #[error("{0}")]
    Invalid(String),
}

impl BadBytes {
    /// A value that has no meaning.
    pub fn invalid(problem: impl Into<String>) -> Self {
        Self::Invalid(problem.into())
    }
}

/// Bytes that are read from the front. Integers are little-endian unless a
/// name says otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    /// All of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `length` bytes.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn take(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], BadBytes> {
        match self.rest.split_at_checked(length) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(BadBytes::Short {
                what,
                missing: length - self.rest.len(),
            }),
        }
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], BadBytes> {
        let taken = self.take(N, what)?;
        let mut array = [0; N];
        array.copy_from_slice(taken);
        Ok(array)
    }

    /// One byte.
    ///
    /// # Errors
    /// When nothing is left; so for all reads below.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, BadBytes> {
        Ok(self.array::<1>(what)?[0])
    }

    /// 2 bytes.
    ///
    /// # Errors
    /// When the bytes end.
    pub fn u16(&mut self, what: &'static str) -> Result<u16, BadBytes> {
        Ok(u16::from_le_bytes(self.array(what)?))
    }

    /// 4 bytes.
    ///
    /// # Errors
    /// When the bytes end.
    pub fn u32(&mut self, what: &'static str) -> Result<u32, BadBytes> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    /// 8 bytes.
    ///
    /// # Errors
    /// When the bytes end.
    pub fn u64(&mut self, what: &'static str) -> Result<u64, BadBytes> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// An integer of `length` bytes, at most 8.
    ///
    /// # Errors
    /// When the bytes end.
    pub fn uint(&mut self, length: usize, what: &'static str) -> Result<u64, BadBytes> {
        let taken = self.take(length, what)?;
        let bytes = taken.iter().rev();
        Ok(bytes.fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    /// A big-endian integer of `length` bytes, at most 8.
    ///
    /// # Errors
    /// When the bytes end.
    pub fn uint_be(&mut self, length: usize, what: &'static str) -> Result<u64, BadBytes> {
        let taken = self.take(length, what)?;
        let bytes = taken.iter();
        Ok(bytes.fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    /// A length-encoded integer of the protocol: one byte below 251, or a mark
    /// and 2, 3 or 8 bytes.
    ///
    /// # Errors
    /// When the bytes end, or the mark is none.
    pub fn lenenc(&mut self, what: &'static str) -> Result<u64, BadBytes> {
        match self.u8(what)? {
            small @ 0..=250 => Ok(u64::from(small)),
            0xfc => self.uint(2, what),
            0xfd => self.uint(3, what),
            0xfe => self.uint(8, what),
            other => Err(BadBytes::Invalid(format!(
                "{other:#x} begins no length, in {what}"
            ))),
        }
    }

    /// Bytes with a length-encoded length before them.
    ///
    /// # Errors
    /// When the bytes end.
    pub fn lenenc_bytes(&mut self, what: &'static str) -> Result<&'a [u8], BadBytes> {
        let length = self.lenenc(what)?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX), what)
    }

    /// Bytes up to a zero byte, which is read too.
    ///
    /// # Errors
    /// When there is no zero.
    pub fn until_zero(&mut self, what: &'static str) -> Result<&'a [u8], BadBytes> {
        let length = self.rest.iter().position(|&byte| byte == 0);
        let Some(length) = length else {
            return Err(BadBytes::Short { what, missing: 1 });
        };
        let taken = self.take(length, what)?;
        self.take(1, what)?;
        Ok(taken)
    }

    /// All that is left.
    pub fn take_rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }
}

/// Text for names, which are UTF-8 in all events; other bytes are replaced.
pub(crate) fn name_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
