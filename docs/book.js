// Links that leave the book lead to files of the repository beside it, which mdbook takes for its own pages.
for (const link of document.querySelectorAll('a[href^="../"]')) {
    link.setAttribute("href", link.getAttribute("href").replace(/\.html(?=#|$)/, ".md"));
}
