-- Grain: state of a province with the time in which it held. Key: province_id,
-- version.
-- Inputs: dim_province_version.
--
-- valid_from: NULL for the first state known, which held since ever; valid_to:
-- NULL for the present one (is_latest). A deletion ends a state and makes none.
CREATE MATERIALIZED VIEW dim_province_history AS
SELECT
  a.province_id,
  a.version,
  CASE WHEN count(b.version) FILTER (WHERE b.version < a.version) > 0 THEN a.change_time END AS valid_from,
  min(b.change_time) FILTER (WHERE b.version > a.version) AS valid_to,
  count(b.version) FILTER (WHERE b.version > a.version) = 0 AS is_latest,
  a.province_name,
  a.region_id
FROM dim_province_version AS a
JOIN dim_province_version AS b ON b.province_id = a.province_id
WHERE a.is_deleted = 0
GROUP BY a.province_id, a.version, a.change_time, a.province_name, a.region_id
