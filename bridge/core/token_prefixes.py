"""The beginnings of tokens, by which they are found in any text, and what follows each.

They are those of gitleaks that begin like no other text. Pure.
"""

PREFIXES = {
    # Git hosts and registries
    **dict.fromkeys(("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"[A-Za-z0-9_]{16,}"),
    "github_pat_": r"\w{20,}",
    **dict.fromkeys(
        (
            *("glpat-", "gldt-", "glrt-", "glptt-", "glsoat-", "glcbt-", "glagent-", "glft-"),
            *("gloas-", "glffct-", "glimt-", "GR1348941"),
        ),
        r"[\w.-]{16,}",
    ),
    **dict.fromkeys(("dckr_pat_", "dckr_oat_"), r"[\w-]{10,}"),
    "_gitlab_session=": r"[0-9a-f]{32}",
    "npm_": r"[A-Za-z0-9]{20,}",
    "pypi-": r"[a-z-]{0,20}[A-Z\d][\w-]{14,}",
    "rubygems_": r"[a-f0-9]{20,}",
    "CLOJARS_": r"[a-z0-9]{60}",
    "AKCp": r"[A-Za-z0-9]{60,}",
    "CFPAT-": r"[\w-]{20,}",
    "ATATT3": r"[\w=-]{20,}",
    # Chats
    **dict.fromkeys(
        ("xoxa-", "xoxb-", "xoxc-", "xoxd-", "xoxe-", "xoxe.", "xoxo-", "xoxp-", "xoxr-", "xoxs-"),
        r"[\w.%-]{8,}",
    ),
    "xapp-": r"[\w-]{8,}",
    # Models
    "sk-": r"(?=[a-z_-]{0,100}+[A-Z\d])[\w-]{16,}",
    **dict.fromkeys(("gsk_", "hf_", "r8_"), r"[A-Za-z0-9]{20,}"),
    "xai-": r"\w{20,}",
    "api_org_": r"[A-Za-z]{30,}",
    "pplx-": r"[A-Za-z0-9]{40,}",
    # Clouds and vaults
    **dict.fromkeys(("AKIA", "ASIA"), r"[A-Z0-9]{16}"),
    "ABSK": r"[A-Za-z0-9+/=]{100,}",
    "LTAI": r"[A-Za-z0-9]{16,}",
    **dict.fromkeys(("AIza", "ya29."), r"[\w-]{20,}"),
    **dict.fromkeys(("GOCSPX-", "tskey-"), r"[\w-]{16,}"),
    **dict.fromkeys(("hvs.", "hvb.", "hvr."), r"[\w-]{10,}"),
    "AGE-SECRET-KEY-1": r"[A-Z0-9]{10,}",
    **dict.fromkeys(("dop_v1_", "doo_v1_", "dor_v1_", "sbp_"), r"[a-f0-9]{20,}"),
    **dict.fromkeys(("dp.pt.", "dp.st.", "dp.ct.", "dp.sa."), r"[\w.-]{20,}"),
    "pul-": r"[a-f0-9]{30,}",
    "dapi": r"[a-f0-9]{32}",
    **dict.fromkeys(("fm2_", "fm1r_"), r"[\w+/=-]{30,}"),
    "fo1_": r"[\w-]{30,}",
    "HRKU-AA": r"[\w-]{50,}",
    "v1.0-": r"[a-f0-9]{24}-[a-f0-9]{100,}",
    "ops_eyJ": r"[\w+/=-]{50,}",
    "A3-": r"[A-Z0-9]{6}-[A-Z0-9]{6}-?[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}",
    "API-": r"[A-Z0-9]{26}\b",
    "sha256~": r"[\w-]{43}",
    "pscale_": r"(?:tkn|pw|oauth)_[\w=.-]{30,}",
    "pnu_": r"[A-Za-z0-9]{36}",
    "4b1d": r"[A-Za-z0-9]{38}(?![A-Za-z0-9])",
    "tk-us-": r"[\w-]{48}",
    "sgp_": r"(?:[a-f0-9]{16}_|local_)?[a-f0-9]{40}",
    "nfp_": r"[A-Za-z0-9]{20,}",
    # Money, mail and watching
    **dict.fromkeys(
        ("sk_live_", "sk_test_", "rk_live_", "rk_test_", "sk_prod_"), r"[A-Za-z0-9]{10,}"
    ),
    "whsec_": r"[\w+/=-]{16,}",
    **dict.fromkeys(("shpat_", "shpca_", "shppa_", "shpss_"), r"[a-fA-F0-9]{20,}"),
    "shippo_": r"(?:live|test)_[a-f0-9]{40}",
    "duffel_": r"(?:live|test)_[\w=-]{40,}",
    "FLWSECK_TEST-": r"[a-h0-9]{12,}",
    "EZAK": r"[A-Za-z0-9]{54}",
    "EAA": r"[ACM][\w-]{50,}",
    "sm_": r"(?:aat|pat|sat)_[A-Za-z0-9]{16}",
    **dict.fromkeys(("sq0atp-", "sq0csp-", "figd_"), r"[\w-]{20,}"),
    "SG.": r"[\w-]{8,}\.[\w-]{8,}",
    "key-": r"(?=[a-zA-Z]{0,40}+\d)[0-9a-zA-Z]{20,}",
    **dict.fromkeys(("xkeysib-", "PMAK-"), r"[a-f0-9-]{20,}"),
    "glsa_": r"\w{20,}",
    "glc_": r"[\w+/=]{30,}",
    "sntrys_": r"[\w+/=-]{20,}",
    "sntryu_": r"[a-f0-9]{20,}",
    "eyJrIjoi": r"[A-Za-z0-9+/]{60,}={0,2}",
    "lin_api_": r"[A-Za-z0-9]{20,}",
    "ntn_": r"[A-Za-z0-9]{40,}",
    "pat": r"[A-Za-z0-9]{14}\.[a-f0-9]{64}",
    **dict.fromkeys(("pat.", "sat."), r"[\w-]{22}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{20}"),
    "rdme_": r"[a-z0-9]{70}",
    "tfp_": r"[\w.=-]{40,}",
    "p8e-": r"[a-z0-9]{32}",
    "ico-": r"[A-Za-z0-9]{32}",
    "fio-u-": r"[\w=-]{64}",
    "NRAK-": r"[A-Z0-9]{20,}",
    "bot": r"\d{8,10}:AA[\w-]{30,}",
    "dt0c01.": r"[A-Z0-9]{20,}\.[A-Z0-9]{20,}",
}
"""The beginnings of tokens, and what follows."""

ANY_CASE = frozenset({"AGE-SECRET-KEY-1"})
"""Those of them that are written in small letters as well."""
