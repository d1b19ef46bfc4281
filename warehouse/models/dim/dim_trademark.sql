-- Grain: brand. Key: tm_id. A query view.
-- Inputs: base_trademark.
--
-- As brands are called now; dim_trademark_history has what they were called.
CREATE VIEW dim_trademark AS
SELECT id AS tm_id, tm_name FROM base_trademark
