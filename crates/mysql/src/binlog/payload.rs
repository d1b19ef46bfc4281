//! MySQL's compressed transactions.
//!
//! Format: <https://dev.mysql.com/doc/dev/mysql-server/latest/classbinary__log_1_1Transaction__payload__event.html>.

use std::io::Read as _;

use super::event::{EventHeader, HEADER_BYTES};
use crate::input::{BadBytes, Input};

/// Bytes of a transaction, spread out, at most: the server's own limit of a
/// packet.
const TRANSACTION_BYTES_MAX: u64 = 1 << 30;

/// The events of a compressed transaction, one behind the other.
///
/// # Errors
/// When it is damaged, or compressed in an unknown way.
pub fn read_payload(body: &[u8]) -> Result<Vec<u8>, BadBytes> {
    const WHAT: &str = "a compressed transaction";
    let mut input = Input::new(body);
    let (mut algorithm, mut size) = (0, None);
    loop {
        let field = input.lenenc(WHAT)?;
        if field == 0 {
            break;
        }
        let mut value = Input::new(input.lenenc_bytes(WHAT)?);
        match field {
            1 => size = Some(value.lenenc(WHAT)?),
            2 => algorithm = value.lenenc(WHAT)?,
            // The length that it has when it is spread out: said again by the
            // content itself.
            _ => {}
        }
    }
    let payload = match size {
        Some(size) => input.take(usize::try_from(size).unwrap_or(usize::MAX), WHAT)?,
        None => input.rest(),
    };
    match algorithm {
        0 => {
            let bad = |error| BadBytes::Invalid(format!("{WHAT} is damaged: {error}"));
            let decoder = zstd::stream::read::Decoder::new(payload).map_err(bad)?;
            let mut events = Vec::new();
            let mut limited = decoder.take(TRANSACTION_BYTES_MAX + 1);
            limited.read_to_end(&mut events).map_err(bad)?;
            if events.len() as u64 > TRANSACTION_BYTES_MAX {
                return Err(BadBytes::Invalid(format!(
                    "{WHAT} has more than {TRANSACTION_BYTES_MAX} bytes"
                )));
            }
            Ok(events)
        }
        255 => Ok(payload.to_vec()),
        other => Err(BadBytes::Invalid(format!(
            "{WHAT} is compressed in the unknown way {other}"
        ))),
    }
}

/// Takes the first event off `events`; they have no checksums of their own.
///
/// # Errors
/// When it is not whole.
pub fn next_event<'a>(events: &mut &'a [u8]) -> Result<(EventHeader, &'a [u8]), BadBytes> {
    let header = EventHeader::read(events)?;
    let mut input = Input::new(events);
    let event = input.take(
        header.length as usize,
        "an event of a compressed transaction",
    )?;
    *events = input.rest();
    Ok((header, &event[HEADER_BYTES..]))
}
