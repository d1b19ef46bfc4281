-- The twenty products that sold for most. A query view: computed when asked.
-- Inputs: revenue_by_product.
CREATE VIEW top_products AS
SELECT sku, description, revenue
FROM revenue_by_product
ORDER BY revenue DESC, sku
LIMIT 20
