//! Functions that stand before one of DataFusion's and answer in its place where that
//! would answer otherwise than SQL, too slowly, or without end.

/// What such a function is called, and takes and gives: in an `impl ScalarUDFImpl`,
/// the methods that ask the function in the field of this name.
macro_rules! asks_wrapped {
    ($function:ident) => {
        fn name(&self) -> &str {
            self.$function.name()
        }

        fn aliases(&self) -> &[String] {
            self.$function.aliases()
        }

        fn signature(&self) -> &::datafusion::logical_expr::Signature {
            self.$function.signature()
        }

        fn return_type(
            &self,
            types: &[::arrow::datatypes::DataType],
        ) -> ::datafusion::error::Result<::arrow::datatypes::DataType> {
            self.$function.return_type(types)
        }
    };
}

pub(crate) use asks_wrapped;
