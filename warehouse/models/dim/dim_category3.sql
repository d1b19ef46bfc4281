-- Grain: category of the third level with those above it. Key: category3_id.
-- Inputs: base_category3, base_category2, base_category1.
--
-- As categories are called now; dim_category1_history, dim_category2_history and
-- dim_category3_history have what they were.
CREATE MATERIALIZED VIEW dim_category3 AS
SELECT
  c3.id AS category3_id,
  c3.name AS category3_name,
  c2.id AS category2_id,
  c2.name AS category2_name,
  c1.id AS category1_id,
  c1.name AS category1_name
FROM base_category3 AS c3
LEFT JOIN base_category2 AS c2 ON c2.id = c3.category2_id
LEFT JOIN base_category1 AS c1 ON c1.id = c2.category1_id
