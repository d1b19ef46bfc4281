//! Forms of values and keys, and how they become JSON.

use std::borrow::Cow;
#[cfg(test)]
use std::collections::BTreeMap;

use serde::de::IgnoredAny;

use crate::avro::to_json;
use crate::options::{KafkaOptions, KeyFormat, ValueFormat};
use crate::place::Form;
use crate::record::text;
use crate::registry::{Registry, Writer};

/// What comes of bytes: JSON, or why they are none.
pub(crate) type Decoded<'a> = Result<Cow<'a, [u8]>, String>;

/// Reads values and keys.
#[derive(Debug)]
pub(crate) struct Formats {
    value: ValueFormat,
    key: KeyFormat,
    registry: Option<Registry>,
}

impl Formats {
    pub(crate) fn new(options: &KafkaOptions) -> Self {
        Self {
            value: options.format,
            key: options.key_format,
            registry: options.registry.clone().map(Registry::new),
        }
    }

    /// Values of a form, by schemas that need not be asked for.
    #[cfg(test)]
    pub(crate) fn knowing(value: ValueFormat, known: BTreeMap<u32, Writer>) -> Self {
        Self {
            value,
            key: KeyFormat::Text,
            registry: Some(Registry::knowing(known)),
        }
    }

    /// Values and keys are of these forms from now on.
    pub(crate) fn read_as(&mut self, form: Form) {
        self.value = form.value;
        self.key = form.key;
    }

    /// A value as JSON.
    ///
    /// # Errors
    /// Why that cannot be said now.
    pub(crate) fn value<'a>(
        &mut self,
        bytes: &'a [u8],
        now_us: i64,
    ) -> Result<Decoded<'a>, String> {
        match self.value {
            ValueFormat::Json => Ok(Ok(Cow::Borrowed(bytes))),
            ValueFormat::Avro => self.registered(bytes, true, now_us),
            ValueFormat::JsonSchema => self.registered(bytes, false, now_us),
        }
    }

    /// A key as JSON.
    ///
    /// # Errors
    /// Why that cannot be said now.
    pub(crate) fn key(
        &mut self,
        bytes: &[u8],
        now_us: i64,
    ) -> Result<Result<String, String>, String> {
        let decoded = match self.key {
            KeyFormat::Text => return Ok(Ok(text(bytes))),
            KeyFormat::Json => Ok(Cow::Borrowed(bytes)),
            KeyFormat::Avro => self.registered(bytes, true, now_us)?,
            KeyFormat::JsonSchema => self.registered(bytes, false, now_us)?,
        };
        Ok(decoded.and_then(|json| {
            let is_json = serde_json::from_slice::<IgnoredAny>(&json).is_ok();
            match (is_json, String::from_utf8(json.into_owned())) {
                (true, Ok(json)) => Ok(json),
                _ => Err("the key is no JSON".to_owned()),
            }
        }))
    }

    fn registered<'a>(
        &mut self,
        bytes: &'a [u8],
        is_avro: bool,
        now_us: i64,
    ) -> Result<Decoded<'a>, String> {
        let Some(registry) = &mut self.registry else {
            return Err("no schema registry is named".to_owned());
        };
        let Some((&[0, a, b, c, d], value)) = bytes.split_first_chunk::<5>() else {
            let problem = "it does not begin with a zero byte and the number of a schema";
            return Ok(Err(problem.to_owned()));
        };
        let number = u32::from_be_bytes([a, b, c, d]);
        let writer = registry.writer(number, now_us)?;
        Ok(match (writer, is_avro) {
            (Writer::Avro(schema), true) => match to_json(&schema, value) {
                Ok(json) => Ok(Cow::Owned(json.into_bytes())),
                Err(bad) => Err(format!("it is no value of schema {number}: {bad}")),
            },
            (Writer::Json, false) => Ok(Cow::Borrowed(value)),
            (Writer::Avro(_), false) => Err(format!("schema {number} is one of Avro")),
            (Writer::Json, true) => Err(format!("schema {number} is one of JSON")),
            (Writer::Unusable(problem), _) => Err(problem),
        })
    }
}
