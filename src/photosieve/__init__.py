"""Ask for photos in words; get the photos that match, all of them and no others."""
