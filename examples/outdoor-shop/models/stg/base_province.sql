-- Grain: area. Key: id.
-- Inputs: areas.
CREATE MATERIALIZED VIEW base_province AS
SELECT
  area_id AS id,
  area_title AS name,
  CAST(NULL AS BIGINT) AS region_id,
  CAST(NULL AS VARCHAR) AS area_code,
  CAST(NULL AS VARCHAR) AS iso_code,
  CAST(NULL AS VARCHAR) AS iso_3166_2,
  CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS create_time
FROM areas
