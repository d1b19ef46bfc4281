//! What can be done to a value.

/// What is done to a field before it is written anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It stays as it is.
    Keep,
    /// It is left out: a member of an object goes, an element of an array
    /// becomes null, a CSV field becomes empty.
    Drop,
    /// It becomes HMAC-SHA-256 of its text, in hexadecimal.
    Hash,
    /// It becomes another value of the same form.
    Tokenise(Format),
    /// So many of its first characters stay.
    Truncate(u32),
    /// It becomes a coarser value.
    Generalise(Generalisation),
    /// It is encrypted under the key of a person.
    Encrypt(PersonField),
}

/// Forms that tokens can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A telephone number.
    Phone,
    /// An e-mail address.
    Email,
    /// The number of a payment card.
    Card,
    /// The name of a person.
    Name,
}

/// Coarser values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generalisation {
    /// January 1 of a date's year.
    Year,
    /// The city of an address.
    City,
}

/// Which person a field belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonField {
    /// What kind of person: persons of two kinds may have the same id.
    pub kind: String,
    /// What holds the id: a column of the same row, a JSON pointer, or a CSV
    /// column.
    pub field: String,
}
