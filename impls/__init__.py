"""Who is judged: the contract, discovery, and one small file per implementation."""
