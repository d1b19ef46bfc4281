-- Grain: state of goods. Key: sku_id, version.
-- Inputs: sku_change, sku_info.
--
-- version: order of the changes of one sku; a snapshot comes before all others.
-- A change that was read twice is one version. Goods of which no change is known,
-- as where the shop's own table is mapped to sku_info, have one.
CREATE MATERIALIZED VIEW dim_sku_version AS
SELECT
  id AS sku_id,
  xid * 100000 + xoffset AS version,
  min(change_time) AS change_time,
  min(price) AS price,
  min(sku_name) AS sku_name,
  min(spu_id) AS spu_id,
  min(tm_id) AS tm_id,
  min(category3_id) AS category3_id,
  max(CASE WHEN type = 'delete' THEN 1 ELSE 0 END) AS is_deleted
FROM sku_change
GROUP BY id, xid * 100000 + xoffset
UNION ALL
SELECT s.id, -200000, CAST(NULL AS TIMESTAMP), s.price, s.sku_name, s.spu_id, s.tm_id, s.category3_id, 0
FROM sku_info AS s
WHERE NOT EXISTS (SELECT 1 FROM sku_change AS c WHERE c.id = s.id)
