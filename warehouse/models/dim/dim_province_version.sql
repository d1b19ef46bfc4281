-- Grain: state of a province. Key: province_id, version.
-- Inputs: province_change, base_province.
--
-- version: order of the changes of one province; a snapshot comes before all others.
-- A change that was read twice is one version. A province of which no change is
-- known, as where the shop's own table is mapped to base_province, has one.
CREATE MATERIALIZED VIEW dim_province_version AS
SELECT
  id AS province_id,
  xid * 100000 + xoffset AS version,
  min(change_time) AS change_time,
  min(name) AS province_name,
  min(region_id) AS region_id,
  max(CASE WHEN type = 'delete' THEN 1 ELSE 0 END) AS is_deleted
FROM province_change
GROUP BY id, xid * 100000 + xoffset
UNION ALL
SELECT p.id, -200000, CAST(NULL AS TIMESTAMP), p.name, p.region_id, 0
FROM base_province AS p
WHERE NOT EXISTS (SELECT 1 FROM province_change AS c WHERE c.id = p.id)
