//! `split_words(text)`: a list of the text's words.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListBuilder, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::WordSplitter;

/// See the module. Equal arguments always give equal lists, so that views may
/// use it.
#[derive(Debug)]
pub(crate) struct SplitWords {
    signature: Signature,
    words: Arc<WordSplitter>,
}

impl SplitWords {
    pub(crate) fn new(words: Arc<WordSplitter>) -> Self {
        Self {
            signature: Signature::string(1, Volatility::Immutable),
            words,
        }
    }
}

impl PartialEq for SplitWords {
    fn eq(&self, other: &Self) -> bool {
        self.words.user_dictionary() == other.words.user_dictionary()
    }
}

impl Eq for SplitWords {}

impl Hash for SplitWords {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.words.user_dictionary().hash(state);
    }
}

impl ScalarUDFImpl for SplitWords {
    fn name(&self) -> &str {
        "split_words"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        let item = Field::new_list_field(DataType::Utf8, true);
        Ok(DataType::List(Arc::new(item)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts = ColumnarValue::values_to_arrays(&arguments.args)?;
        let mut lists = ListBuilder::new(StringBuilder::new());
        for texts in &texts {
            let texts = cast(texts, &DataType::Utf8)?;
            // People search for the same things.
            let mut known: BTreeMap<&str, Vec<String>> = BTreeMap::new();
            for text in texts.as_string::<i32>() {
                if let Some(text) = text {
                    let words = known.entry(text).or_insert_with(|| self.words.split(text));
                    for word in words {
                        lists.values().append_value(word);
                    }
                }
                lists.append(text.is_some());
            }
        }
        let lists: ArrayRef = Arc::new(lists.finish());
        debug_assert_eq!(lists.len(), texts.first().map_or(0, |texts| texts.len()));
        Ok(ColumnarValue::Array(lists))
    }
}
