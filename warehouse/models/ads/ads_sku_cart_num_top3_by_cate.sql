-- Grain: category of the third level × rank 1 to 3. Key: category3_id, rk. A query
-- view.
-- Inputs: cart_info, dim_sku, dim_test_user.
--
-- cart_num: pieces that lie in carts now, not ordered yet.
CREATE VIEW ads_sku_cart_num_top3_by_cate AS
SELECT * FROM (
  SELECT s.category1_name, s.category2_name, s.category3_id, s.category3_name, s.sku_id, s.sku_name, c.cart_num,
    row_number() OVER (PARTITION BY s.category3_id ORDER BY c.cart_num DESC, s.sku_id) AS rk
  FROM (
    SELECT c.sku_id, sum(c.sku_num) AS cart_num
    FROM cart_info AS c
    LEFT JOIN dim_test_user AS t ON t.user_id = c.user_id
    WHERE coalesce(c.is_ordered, 0) = 0 AND t.user_id IS NULL
    GROUP BY c.sku_id
  ) AS c
  JOIN dim_sku AS s ON s.sku_id = c.sku_id
) AS ranked
WHERE rk <= 3
