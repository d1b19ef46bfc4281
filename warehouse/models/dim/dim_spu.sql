-- Grain: product. Key: spu_id. A query view.
-- Inputs: spu_info, base_trademark, dim_category3.
--
-- Name, brand and categories as they are now; dim_spu_history has what they were.
CREATE VIEW dim_spu AS
SELECT p.id AS spu_id, p.spu_name, p.tm_id, t.tm_name, c.*
FROM spu_info AS p
LEFT JOIN base_trademark AS t ON t.id = p.tm_id
LEFT JOIN dim_category3 AS c ON c.category3_id = p.category3_id
