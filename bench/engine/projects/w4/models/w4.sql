-- Grain: category and rank.
-- Inputs: order_detail, sku_info.
CREATE MATERIALIZED VIEW w4 AS
SELECT category_id, rank, sku_id, sku_name, amount
FROM (
  SELECT *, row_number() OVER (PARTITION BY category_id ORDER BY amount DESC, sku_id) AS rank
  FROM (
    SELECT s.category_id, d.sku_id, s.sku_name, sum(d.split_amount) AS amount
    FROM order_detail AS d
    JOIN sku_info AS s ON d.sku_id = s.sku_id
    GROUP BY s.category_id, d.sku_id, s.sku_name
  ) AS sums
) AS ranked
WHERE rank <= 10
