-- Grain: province. Key: province_id. A query view.
-- Inputs: base_province, base_region.
--
-- As provinces are called now; dim_province_history has what they were called.
CREATE VIEW dim_province AS
SELECT p.id AS province_id, p.name AS province_name, p.area_code, p.iso_code,
  p.iso_3166_2, r.id AS region_id, r.region_name
FROM base_province AS p
LEFT JOIN base_region AS r ON r.id = p.region_id
