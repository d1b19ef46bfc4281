-- Grain: category. Key: category_id, category_name.
-- Inputs: order_detail, sku_info.
CREATE MATERIALIZED VIEW w3 AS
SELECT s.category_id, s.category_name, sum(d.split_amount) AS amount, count(*) AS lines
FROM order_detail AS d
JOIN sku_info AS s ON d.sku_id = s.sku_id
GROUP BY s.category_id, s.category_name
