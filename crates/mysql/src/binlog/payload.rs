//! MySQL's compressed transactions.
//!
//! Format: <https://dev.mysql.com/doc/dev/mysql-server/latest/classbinary__log_1_1Transaction__payload__event.html>.

use std::io::Read as _;

use super::event::{EventHeader, HEADER_BYTES};
use crate::input::{BadBytes, Input};

/// Bytes of a transaction, spread out, at most: the server's own limit of a
/// packet.
const TRANSACTION_BYTES_MAX: u64 = 1 << 30;

const WHAT: &str = "a compressed transaction";

/// The events of a compressed transaction, one behind the other.
///
/// # Errors
/// When it is damaged, or compressed in an unknown way.
pub fn read_payload(body: &[u8]) -> Result<Vec<u8>, BadBytes> {
    let mut input = Input::new(body);
    let (mut algorithm, mut size, mut spread_size) = (0, None, None);
    loop {
        let field = input.lenenc(WHAT)?;
        if field == 0 {
            break;
        }
        let mut value = Input::new(input.lenenc_bytes(WHAT)?);
        match field {
            1 => size = Some(value.lenenc(WHAT)?),
            2 => algorithm = value.lenenc(WHAT)?,
            3 => spread_size = Some(value.lenenc(WHAT)?),
            _ => {}
        }
    }
    let payload = match size {
        Some(size) => input.take(usize::try_from(size).unwrap_or(usize::MAX), WHAT)?,
        None => input.take_rest(),
    };
    if !input.is_empty() {
        return Err(BadBytes::Invalid(format!(
            "{} bytes follow behind {WHAT}",
            input.rest().len()
        )));
    }
    let events = spread(algorithm, payload)?;
    match spread_size {
        Some(size) if size != events.len() as u64 => Err(BadBytes::Invalid(format!(
            "{WHAT} has {} bytes instead of {size}: it is damaged",
            events.len()
        ))),
        _ => Ok(events),
    }
}

fn spread(algorithm: u64, payload: &[u8]) -> Result<Vec<u8>, BadBytes> {
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
