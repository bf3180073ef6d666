"""How good a restored photo is: PSNR, SSIM, MS-SSIM, GMSD, and how sharp. NumPy only, on 8-bit photos."""
