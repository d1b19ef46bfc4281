-- Grain: brand. Key: id.
-- Inputs: brands.
CREATE MATERIALIZED VIEW base_trademark AS
SELECT brand_id AS id, brand_name AS tm_name, CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS create_time
FROM brands
