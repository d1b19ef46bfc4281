-- Grain: last 1, 7 or 30 business days × province. Key: recent_days, province_id.
-- A query view.
-- Inputs: ads_live_province_day, dim_province.
--
-- Names are today's. Orders of a province that the shop does not have count, without
-- a name.
CREATE VIEW ads_order_by_province AS
SELECT s.recent_days, d.province_id, p.province_name, p.region_name, p.iso_3166_2,
  sum(d.orders) AS order_count, sum(d.gmv_gross) AS order_amount
FROM ads_live_province_day AS d
CROSS JOIN (SELECT max(day) AS day FROM ads_live_province_day) AS newest
CROSS JOIN (SELECT 1 AS recent_days UNION ALL SELECT 7 UNION ALL SELECT 30) AS s
LEFT JOIN dim_province AS p ON p.province_id = d.province_id
WHERE newest.day - d.day < s.recent_days
GROUP BY s.recent_days, d.province_id, p.province_name, p.region_name, p.iso_3166_2
