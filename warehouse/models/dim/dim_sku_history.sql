-- Grain: state of goods with the time in which it held. Key: sku_id, version.
-- Inputs: dim_sku_version.
--
-- valid_from: NULL for the first state known, which held since ever; valid_to:
-- NULL for the present one (is_latest). A deletion ends a state and makes none.
CREATE MATERIALIZED VIEW dim_sku_history AS
SELECT
  a.sku_id,
  a.version,
  CASE WHEN count(b.version) FILTER (WHERE b.version < a.version) > 0 THEN a.change_time END AS valid_from,
  min(b.change_time) FILTER (WHERE b.version > a.version) AS valid_to,
  count(b.version) FILTER (WHERE b.version > a.version) = 0 AS is_latest,
  a.price,
  a.sku_name,
  a.spu_id,
  a.tm_id,
  a.category3_id
FROM dim_sku_version AS a
JOIN dim_sku_version AS b ON b.sku_id = a.sku_id
WHERE a.is_deleted = 0
GROUP BY a.sku_id, a.version, a.change_time, a.price, a.sku_name, a.spu_id, a.tm_id, a.category3_id
